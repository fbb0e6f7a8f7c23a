// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve repair`: copies that are lacking, and those that a person has to look at.
struct RepairCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair",
        abstract: "Look at copies that are lacking or on their way, and at those that could not be made.",
        subcommands: [RepairStatusCommand.self, RepairStuckCommand.self, RepairRetryCommand.self],
        defaultSubcommand: RepairStatusCommand.self
    )
}

/// `varve repair status`.
struct RepairStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show what is to be copied, why, and how fast it goes.",
        discussion: "Example: varve repair"
    )

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let body = try await AdminClient(server).get("/api/v1/repair")
        if server.json {
            FileHandle.standardOutput.write(body)
        } else {
            for line in try JSONDecoder().decode(RepairReport.self, from: body).lines { output(line) }
        }
    }
}

/// `varve repair stuck`.
struct RepairStuckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stuck",
        abstract: "List the copies that could not be made after many attempts, and why.",
        discussion: "Example: varve repair stuck --limit 20"
    )

    @OptionGroup var server: ServerOptions
    @Option(help: "How many at most.") var limit = 100

    func run() async throws {
        let body = try await AdminClient(server).get("/api/v1/repair/stuck?limit=\(limit)")
        if server.json {
            FileHandle.standardOutput.write(body)
            return
        }
        let stuck = try JSONDecoder().decode([StuckRepairReport].self, from: body)
        guard !stuck.isEmpty else {
            output("nothing needs a person")
            return
        }
        var table = TextTable(["STUDY", "INSTANCE", "RECORD", "ATTEMPTS", "REASON"], rightAligned: [3])
        for repair in stuck {
            table.add([
                repair.studyInstanceUID, repair.sopInstanceUID, repair.recordID, String(repair.attempts), repair.reason,
            ])
        }
        output(table.text)
    }
}

/// `varve repair retry`.
struct RepairRetryCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retry",
        abstract: "Have the copies tried again that could not be made, or dropped.",
        discussion: "Example: varve repair retry"
    )

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let body = try await AdminClient(server).send(
            "POST",
            "/api/v1/repair/retry",
            body: JSONEncoder().encode(NodeOrderRequest(reason: "asked for by the operator"))
        )
        if server.json {
            FileHandle.standardOutput.write(body)
            return
        }
        let count = try JSONDecoder().decode([String: Int].self, from: body)["retried"] ?? 0
        output("\(count) copies are tried again")
    }
}

extension RepairReport {
    /// For a terminal, below the headings of `varve status`.
    var lines: [String] {
        guard surveyedAt != nil else { return ["repair       no coordinator has looked yet"] }
        var lines: [String] = []
        if let alarm { lines.append("ALARM        \(alarm)") }
        for part in underReplicated {
            lines.append("copies left  \(part.copiesLeft): \(part.amount.longText)")
        }
        let rate =
            if let bytesPerSecond, bytesPerSecond > 0 {
                ", \(readableBytes(Int64(bytesPerSecond)))/s"
                    + (expectedSeconds.map { ", done in about \(readableSeconds($0))" } ?? "")
            } else {
                ""
            }
        let isIdle = remaining.instances == 0 && !remaining.isCounting
        lines.append(
            "repair       "
                + (isIdle ? "all copies are where they are wanted" : "\(remaining.longText) to be copied\(rate)")
        )
        for wait in waiting {
            let reason =
                switch wait.reason {
                case "noSource": "no node that has a copy answers"
                case "targetAway": "the node that should have it is away"
                case "targetUnsteady": "the node that should have it has come not long ago"
                default: "no other node takes it"
                }
            lines.append("waiting      \(wait.amount.longText): \(reason)")
        }
        let queued = queue.map { "\($0.items) \($0.kind) \($0.state)" }
        if !queued.isEmpty { lines.append("queue        \(queued.joined(separator: ", "))") }
        if queue.contains(where: { $0.state == "stuck" }) {
            lines.append("NEEDS YOU    'varve repair stuck' lists what could not be copied or dropped")
        }
        if surplus.instances > 0 {
            lines.append("surplus      \(surplus.longText) have more copies than wanted")
        }
        return lines
    }
}
