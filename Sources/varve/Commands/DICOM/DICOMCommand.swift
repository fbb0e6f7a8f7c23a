// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// `varve dicom ...`: what is in DICOM files, without a server.
struct DICOMCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dicom",
        abstract: "Show, check and convert DICOM files.",
        subcommands: [DICOMDumpCommand.self, DICOMCheckCommand.self, DICOMConvertCommand.self]
    )
}
