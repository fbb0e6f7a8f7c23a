// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve watch`: accepted instances that were fetched again and did not come back as they came.
struct WatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Look at what was accepted and is fetched again, and at what did not come back as it came.",
        subcommands: [WatchStatusCommand.self, WatchAcknowledgeCommand.self],
        defaultSubcommand: WatchStatusCommand.self
    )
}

/// `varve watch status`.
struct WatchStatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "List the alarms: what, since when, and why.",
        discussion: "Example: varve watch. The exit status is 1 while there are alarms."
    )

    @OptionGroup var server: ServerOptions
    @Option(help: "How many alarms at most.") var limit = 100

    func run() async throws {
        let body = try await AdminClient(server).get("/api/v1/watch?limit=\(limit)")
        let report = try JSONDecoder().decode(WatchReport.self, from: body)
        if server.json {
            FileHandle.standardOutput.write(body)
        } else {
            let state = report.isOn ? "" : "; this ingest node takes and fetches none"
            output("samples      \(report.samples) wait to be fetched again\(state)")
            for line in report.briefLines { output(line) }
            if !report.alarms.isEmpty {
                var table = TextTable(
                    ["STUDY", "INSTANCE", "RESULT", "SINCE", "ATTEMPTS", "REASON"],
                    rightAligned: [4]
                )
                for alarm in report.alarms {
                    table.add([
                        alarm.studyInstanceUID, alarm.sopInstanceUID, alarm.result, alarm.since,
                        String(alarm.attempts), alarm.reason,
                    ])
                }
                output(table.text)
            }
        }
        if report.alarmCount > 0 { throw ExitCode(1) }
    }
}

/// `varve watch acknowledge`.
struct WatchAcknowledgeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "acknowledge",
        abstract: "Say that you know of alarms: they end, and their instances are not fetched again.",
        discussion: """
            Example: varve watch acknowledge --study 1.2.840.1 --reason "sent again by the modality"
            An alarm also ends by itself when its instance comes back as it came, and when it is deleted.
            """
    )

    @OptionGroup var server: ServerOptions
    @Option(help: "The study whose alarms you know of.") var study: String?
    @Flag(help: "All alarms.") var all = false
    @Option(help: "Why; it is logged.") var reason = "acknowledged by the operator"

    func validate() throws {
        guard all != (study != nil) else { throw ValidationError("say --study UID, or --all") }
        guard reason.contains(where: { !$0.isWhitespace }) else { throw ValidationError("--reason must say why") }
    }

    func run() async throws {
        let body = try await AdminClient(server).send(
            "POST",
            "/api/v1/watch/acknowledge",
            body: JSONEncoder().encode(WatchAcknowledgement(study: study, reason: reason))
        )
        if server.json {
            FileHandle.standardOutput.write(body)
            return
        }
        let count = try JSONDecoder().decode([String: Int].self, from: body)["acknowledged"] ?? 0
        output("\(count) alarms acknowledged")
        if count == 0 { throw ExitCode(1) }
    }
}

extension WatchReport {
    /// In seconds; a node that died keeps what it had claimed for as long.
    private static let overdueLimit = 1_800

    /// What is wrong, for `varve status`; nothing when nothing is.
    var briefLines: [String] {
        var lines: [String] = []
        if let first = alarms.first {
            let what =
                switch first.result {
                case "different": "comes back with other bytes"
                case "missing": "is not found any more"
                case "unreadable": "cannot be read"
                default: "cannot be fetched"
                }
            lines.append(
                "ALARM        what was accepted \(what): study \(first.studyInstanceUID) since \(first.since)"
                    + (alarmCount > 1 ? ", and \(alarmCount - 1) more" : "")
                    + "; see 'varve watch', and 'varve study show \(first.studyInstanceUID) --verify'"
            )
        }
        if isOn, overdueSeconds > Self.overdueLimit {
            lines.append(
                "watch        fetching accepted instances again is behind by \(readableSeconds(Double(overdueSeconds)))"
                    + ": see the logs of the ingest nodes"
            )
        }
        return lines
    }
}
