// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Glibc

/// The one binary: every role and every operator's command is a subcommand.
struct VarveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "varve",
        abstract: "A DICOM archive that spreads over servers.",
        discussion: """
            Try it on one machine:  varve up --data ./varve-data
            Then, in another shell: varve store STUDY-FOLDER; varve study list
            """,
        version: Version.text,
        subcommands: [
            UpCommand.self, IngestCommand.self, StorageCommand.self, CoordinatorCommand.self,
            StatusCommand.self, NodeCommand.self, RepairCommand.self, StudyCommand.self, TierCommand.self,
            VerifyCommand.self, WatchCommand.self, LifecycleCommand.self, RejectionCommand.self, CatalogCommand.self,
            StoreCommand.self, EchoCommand.self,
            FindCommand.self, MoveCommand.self, GetCommand.self,
            DICOMCommand.self, PackCommand.self, CertificateCommand.self, BenchCommand.self,
        ]
    )
}

/// Where the process begins.
@main
enum Main {
    /// Runs the command; the exit status is 0 when it is done, 1 when it failed and 2 for wrong usage.
    static func main() async {
        do {
            var command = try VarveCommand.parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            guard VarveCommand.exitCode(for: error) == .validationFailure else { VarveCommand.exit(withError: error) }
            complain(VarveCommand.fullMessage(for: error))
            exit(2)
        }
    }
}

/// The version of this build.
enum Version {
    static let text = "0.1.0"
}
