// SPDX-License-Identifier: Apache-2.0

import ArgumentParser

/// The one binary: every role and every operator's command is a subcommand.
@main
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
            StatusCommand.self, StudyCommand.self, StoreCommand.self, EchoCommand.self,
        ]
    )
}

/// The version of this build.
enum Version {
    static let text = "0.1.0"
}
