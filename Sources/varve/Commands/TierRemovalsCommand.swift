// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve tier removals`.
struct TierRemovalsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "removals",
        abstract: "List the packs that are to be removed from their stores, and those that were.",
        discussion: """
            Packs go of which all was deleted and is out of the trash for good, and those that were given up, where the coordinators \
            have 'purge-packs: yes'. DUE is when at the earliest; until then a mark goes by itself when something of the pack \
            is wanted again or held. The last first.

            Example: varve tier removals
            """
    )

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let body = try await AdminClient(server).get("/api/v1/removals")
        if server.json {
            FileHandle.standardOutput.write(body)
            return
        }
        let removals = try JSONDecoder().decode([PackRemovalReport].self, from: body)
        guard !removals.isEmpty else {
            output("no pack is to be removed, or was")
            return
        }
        var table = TextTable(
            ["PACK", "TIER", "INSTANCES", "BYTES", "WHY", "STATE", "DUE", "REMOVED", "BY"],
            rightAligned: [2, 3]
        )
        for removal in removals {
            table.add([
                removal.pack, removal.tier, String(removal.instances), readableBytes(removal.bytes), removal.kind,
                removal.state, removal.dueAt, removal.removedAt ?? "-", removal.requestedBy,
            ])
        }
        output(table.text)
        for removal in removals where !removal.note.isEmpty { output("\(removal.pack): \(removal.note)") }
    }
}
