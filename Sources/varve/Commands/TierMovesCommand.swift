// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve tier moves`.
struct TierMovesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "moves",
        abstract: "List the moves of studies that have not ended, those that need a person first; at most 1,000.",
        discussion: """
            Example: varve tier moves
            'varve study move STUDY --tier TIER' once more tries at once what needs a person; --cancel ends it.
            """
    )

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let body = try await AdminClient(server).get("/api/v1/moves")
        if server.json {
            FileHandle.standardOutput.write(body)
            return
        }
        let moves = try JSONDecoder().decode([MoveReport].self, from: body)
        guard !moves.isEmpty else {
            output("no study is being moved")
            return
        }
        var table = TextTable(["MOVE", "STUDY", "TIER", "STATE", "FAILURES", "NOTE"], rightAligned: [0, 4])
        for move in moves {
            table.add([String(move.id), move.study, move.tier, move.state, String(move.attempts), move.note])
        }
        output(table.text)
    }
}
