// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve lifecycle status`.
struct LifecycleStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Say whether rules act, what they made of the archive, and what they want that is not done.",
        discussion: "Example: varve lifecycle status"
    )

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let body = try await AdminClient(server).get("/api/v1/lifecycle/status")
        if server.json { return FileHandle.standardOutput.write(body) }
        output(try JSONDecoder().decode(LifecycleStatusReport.self, from: body).text)
    }
}

/// `varve lifecycle pending`.
struct LifecyclePendingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pending",
        abstract: "List the studies that are to expire, those that do first.",
        discussion: "Example: varve lifecycle pending --limit 1000"
    )

    @OptionGroup var server: ServerOptions
    @Option(help: "How many studies at most.") var limit = 100

    func run() async throws {
        let path = "/api/v1/lifecycle/pending?limit=\(limit)"
        if server.json { return FileHandle.standardOutput.write(try await AdminClient(server).get(path)) }
        let studies = try await AdminClient(server).get(path, as: [PendingReport].self)
        guard !studies.isEmpty else { return output("no study is to expire") }
        var table = TextTable(["STUDY", "RULE", "POLICY", "VERSION", "MARKED", "EXPIRES"], rightAligned: [3])
        for study in studies {
            table.add([
                study.studyInstanceUID, study.rule ?? "(default)", study.policy, String(study.version),
                study.markedAt ?? "-", study.expiresAt ?? "when the rules are enabled",
            ])
        }
        output(table.text)
    }
}

extension LifecycleStatusReport {
    /// For a terminal.
    var text: String {
        var lines = briefLines
        if let enabledAt {
            lines.append("enabled      version \(enabledVersion) at \(enabledAt) by \(enabledBy ?? "-")")
        }
        if isPaused { lines.append("paused       by \(pausedBy ?? "-"): \(pausedReason ?? "-")") }
        lines.append(
            "expiry       \(expireAfterSeconds) s after it was marked; \(expiredToday) today, \(expireLimit) a day may"
        )
        let round = roundStartedAt.map { started in
            "\(roundStudies) studies judged since \(started), " + (roundFinishedAt.map { "ended \($0)" } ?? "goes on")
        }
        lines.append("round        \(round ?? "none yet")")
        for policy in policies { lines.append("policy       \(policy.name): \(policy.studies) studies") }
        for line in notCarriedOut { lines.append("not done     \(line)") }
        return lines.joined(separator: "\n")
    }

    /// Below the headings of `varve status`.
    var briefLines: [String] {
        guard version > 0 else { return ["rules        none are loaded"] }
        let state: String
        if isPaused {
            state = "paused"
        } else if isActing {
            state = "act"
        } else {
            state = "do not act: not enabled"
        }
        var lines = [
            "rules        version \(version) \(state); \(marked) studies are to expire, \(due) due, \(changed) changed"
        ]
        if judgedVersion < version { lines.append("judging      all studies by version \(version)") }
        if let alarm { lines.append("ALARM        \(alarm)") }
        return lines
    }
}
