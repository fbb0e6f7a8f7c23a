// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DICOM
import DICOMNetworking
import DIMSE

/// `varve move`: has a DICOM application entity send instances to another (C-MOVE).
struct MoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "move",
        abstract: "Have a DICOM application entity send instances to another that it knows (C-MOVE).",
        discussion: "Example: varve move --destination WORKSTATION StudyInstanceUID=1.2.840.113619.2.5"
    )

    @OptionGroup var dicom: DICOMOptions
    @OptionGroup var query: QueryOptions
    @Option(help: "The AE title to send to, as the peer knows it.") var destination: String
    @Argument(help: "KEY=VALUE: the unique keys of the level and those above it.") var keys: [String]

    func validate() throws {
        _ = try query.identifier(keys)
    }

    func run() async throws {
        let identifier = try query.identifier(keys)
        let (association, syntax) = try await query.connect(.move, dicom)
        let last = try await association.query(
            query.sopClass(.move),
            identifier: try DataSetWriter.write(identifier, transferSyntax: syntax),
            destination: try AETitle(destination)
        ) { _ in true }
        try await association.release()
        if let counts = last.counts {
            output("\(counts.completed + counts.warning) sent to \(destination), \(counts.failed) failed")
        }
        if let list = last.identifier {
            let failed = try DataSetReader.read(list, transferSyntax: syntax).dataSet
            for uid in failed.strings(Tag(0x0008, 0x0058)) { complain("not sent: \(TerminalText.escaped(uid))") }
        }
        guard last.status.isSuccess else { throw CommandError(last.failure("move")) }
    }
}
