// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve tier recalls`.
struct TierRecallsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recalls",
        abstract: "List the recalls of studies that have not ended, those that need a person first; at most 1,000.",
        discussion: """
            Example: varve tier recalls
            'varve study recall STUDY' once more tries at once what needs a person; --cancel ends it.
            What waits for a medium goes on by itself when that is back; the packs are named that are wanted.
            """
    )

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let body = try await AdminClient(server).get("/api/v1/recalls")
        if server.json {
            FileHandle.standardOutput.write(body)
            return
        }
        let recalls = try JSONDecoder().decode([RecallReport].self, from: body)
        guard !recalls.isEmpty else {
            output("no study is being recalled")
            return
        }
        var table = TextTable(
            ["RECALL", "STUDY", "FOR", "STATE", "BACK", "OF", "BYTES", "RATE", "FAILURES", "NOTE"],
            rightAligned: [0, 4, 5, 6, 7, 8]
        )
        for recall in recalls {
            table.add([
                String(recall.id), recall.study, recall.urgency, recall.state, String(recall.instances),
                String(recall.wantedInstances), readableBytes(recall.bytes),
                recall.bytesPerSecond.map { readableBytes(Int64($0)) + "/s" } ?? "-", String(recall.attempts),
                recall.note,
            ])
        }
        output(table.text)
        for recall in recalls {
            for pack in recall.wantedPacks ?? [] {
                output("recall \(recall.id) waits for medium: \(pack.key) in \(pack.place)")
            }
        }
    }
}
