// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DICOMNetworking
import DIMSE

/// `varve echo`: whether there is a DICOM application entity that answers to its name.
struct EchoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "echo",
        abstract: "Ask a DICOM application entity whether it answers (C-ECHO).",
        discussion: "Example: varve echo --host 127.0.0.1 --port 11112 --called VARVE"
    )

    @OptionGroup var dicom: DICOMOptions

    func run() async throws {
        let client = try dicom.client()
        let association = try await client.connect(
            contexts: DICOMClient.contexts([
                (sopClass: "1.2.840.10008.1.1", transferSyntaxes: ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
            ])
        )
        let status = try await association.echo()
        try await association.release()
        guard status == .success else {
            throw CommandError("\(dicom.called) at \(dicom.host):\(dicom.port) answered with status \(status)")
        }
        output("\(dicom.called) at \(dicom.host):\(dicom.port) answers")
    }
}
