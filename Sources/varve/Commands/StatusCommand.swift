// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve status`: the cluster at a glance.
struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show the cluster at a glance: nodes, space, studies, missing copies.",
        discussion: "Example: varve status --server http://archive.hospital.example:8042"
    )

    @OptionGroup var server: ServerOptions

    func run() async throws {
        let body = try await AdminClient(server).get("/api/v1/status")
        if server.json {
            FileHandle.standardOutput.write(body)
            return
        }
        let status = try JSONDecoder().decode(StatusReport.self, from: body)
        output("cluster      \(status.cluster), version \(status.version), map epoch \(status.mapEpoch)")
        output("coordinator  \(status.coordinator ?? "none in office (stores and reads go on without)")")
        output(
            "holds        \(status.studies) studies, \(status.series) series, \(status.instances) instances;"
                + " \(readableBytes(status.receivedBytes)) received, \(readableBytes(status.storedBytes)) a copy"
        )
        output(
            "copies       \(status.copies) wanted, success at \(status.acknowledgements);"
                + " \(status.underReplicated) instances have fewer; codec \(status.codec)"
        )
        for line in status.repair.lines { output(line) }
        for line in status.comparison?.lines ?? [] { output(line) }
        if status.repair.surveyedAt != nil, status.repair.copies != status.copies {
            output("ALARM        coordinators have 'copies: \(status.repair.copies)', ingest nodes \(status.copies)")
        }
        for line in status.lifecycle?.briefLines ?? [] { output(line) }
        for line in status.watch?.briefLines ?? [] { output(line) }
        output("")
        var table = TextTable(
            ["NODE", "STATE", "ADDRESS", "DOMAIN", "RECORDS", "USED", "FREE", "WRITES"],
            rightAligned: [4, 5, 6]
        )
        for node in status.nodes {
            table.add([
                node.name, node.state, node.address, node.domain, node.records.map { String($0) } ?? "-",
                node.usedBytes.map(readableBytes) ?? "-", node.freeBytes.map(readableBytes) ?? "-",
                node.acceptsWrites ? "yes" : "no" + (node.reason.map { ": \($0)" } ?? ""),
            ])
        }
        output(table.text)
    }
}

extension ComparisonReport {
    /// For a terminal, below the headings of `varve status`.
    var lines: [String] {
        var lines: [String] = []
        if lostInstances > 0 {
            lines.append("ALARM        \(lostInstances) instances have no good copy on any node")
            for instance in lost {
                lines.append("             instance \(instance.sopInstanceUID) of study \(instance.studyInstanceUID)")
            }
        }
        if let lastFinishedAt, let last {
            lines.append("compared     with the nodes, complete at \(lastFinishedAt): \(last.text)")
        }
        if groups > 0 || lastFinishedAt == nil {
            lines.append("comparing    \(groups) of \(allGroups) groups: \(counts.text)")
        }
        if missed > 0 || found > 0 || waiting > 0 {
            lines.append(
                "found        \(missed) copies missing and made again, \(found) counted again; \(waiting) to be looked at"
            )
        }
        return lines
    }
}

extension ComparisonReport.Counts {
    fileprivate var text: String {
        let others = [
            (missing, "missing"), (unasked, "on nodes that were not asked"), (uncounted, "not counted"),
            (orphans, "without a row"), (trashed, "in the trash"),
        ].filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }
        return (["\(present) copies there"] + others).joined(separator: ", ")
    }
}
