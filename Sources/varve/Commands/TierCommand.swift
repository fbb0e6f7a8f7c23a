// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve tier ...`: the places where copies are.
struct TierCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tier",
        abstract: "Show the tiers of the archive, and what is in them.",
        subcommands: [
            TierListCommand.self, TierMovesCommand.self, TierRecallsCommand.self, TierRemovalsCommand.self,
        ]
    )
}

/// `varve tier list`.
struct TierListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the tiers of the rules that hold, with their packs and moves.",
        discussion: """
            Example: varve tier list
            VERIFIED is when the pack was read whole that was read longest ago; '-' with packs: one is in doubt.
            """
    )

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let body = try await AdminClient(server).get("/api/v1/tiers")
        if server.json {
            FileHandle.standardOutput.write(body)
            return
        }
        let tiers = try JSONDecoder().decode([TierReport].self, from: body)
        guard !tiers.isEmpty else {
            output("no tiers: no rules are loaded")
            return
        }
        var table = TextTable(
            ["TIER", "KIND", "PLACE", "PACKS", "STUDIES", "BYTES", "VERIFIED", "MOVING", "STUCK"],
            rightAligned: [3, 4, 5, 7, 8]
        )
        for tier in tiers {
            table.add([
                tier.tier, tier.kind, tier.place, String(tier.packs), String(tier.studies), readableBytes(tier.bytes),
                tier.oldestVerifiedAt ?? "-", String(tier.movesUnderWay), String(tier.movesNeedingPerson),
            ])
        }
        output(table.text)
        for tier in tiers {
            if let packs = tier.offlinePacks {
                output("\(tier.tier): offline: \(packs) packs are on media that are not at hand")
            }
            guard let instances = tier.deletedInstances, let packs = tier.packsWithDeleted else { continue }
            output(
                "\(tier.tier): \(instances) deleted instances are still in \(packs) packs; 'varve tier removals' tells which go"
            )
        }
    }
}
