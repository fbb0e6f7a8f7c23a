// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import ColdStore
import Placement

/// `varve pack ...`: cold packs, without a server.
struct PackCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pack",
        abstract: "Make, list and check cold packs: one study each, a ZIP of DICOM files with a manifest.",
        discussion: """
            A pack is read without Varve, too: unzip it, and open its .dcm files with any viewer. These commands need no \
            server and no catalog. Storage nodes make no packs yet.

            Example: varve pack create --output study.zip ./study; varve pack check study.zip
            """,
        subcommands: [
            PackCreateCommand.self, PackListCommand.self, PackCheckCommand.self, PackInitCommand.self,
        ]
    )
}

/// `varve pack init DIRECTORY`.
struct PackInitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make an empty directory a store of packs.",
        discussion: """
            Writes varve-cold-store.json into it. A directory without that file is not taken for a store, so that one where \
            nothing is mounted is not taken for an empty one: mount first. A bucket needs nothing of the kind.

            Example: varve pack init /mnt/nas/varve --cluster 6f1e0000-0000-4000-8000-000000000001
            """
    )

    @Argument(help: "The directory, or its file: URL.") var directory: String
    @Option(help: "The UUID of the cluster whose packs are to lie there; without, those of any.") var cluster: String?

    func run() async throws {
        let cluster = try PackPlace.cluster(cluster)
        guard let path = try PackPlace.path(directory) else { throw ValidationError("only directories need this") }
        _ = try await DirectoryStore.create(path, cluster: cluster)
        output("\(path) is a store of packs now")
    }
}
