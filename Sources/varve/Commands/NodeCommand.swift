// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve node`: what operators see and do about storage nodes.
struct NodeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "node",
        abstract: "Look at storage nodes, empty and remove them, and say when one will be away.",
        subcommands: [
            NodeListCommand.self, NodeShowCommand.self, NodeDrainCommand.self, NodeUndrainCommand.self,
            NodeRemoveCommand.self, NodeMaintenanceCommand.self,
        ]
    )
}

/// `varve node list`.
struct NodeListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the storage nodes: their state, and what is being copied to and from them.",
        discussion: "Example: varve node list"
    )

    @OptionGroup var server: ServerOptions
    @Flag(help: "List nodes that were removed, too.") var all = false

    func run() async throws {
        let body = try await AdminClient(server).get("/api/v1/nodes")
        if server.json {
            FileHandle.standardOutput.write(body)
            return
        }
        let nodes = try JSONDecoder().decode([NodeReport].self, from: body)
        var table = TextTable(
            ["NODE", "STATE", "SINCE", "ADDRESS", "RECORDS", "USED", "FREE", "ARRIVING", "TO COPY", "WRITES"],
            rightAligned: [4, 5, 6, 7, 8]
        )
        for report in nodes where all || report.node.state != "removed" {
            let node = report.node
            table.add([
                node.name, node.state + (report.maintenanceUntil == nil ? "" : " (maintenance)"), report.since,
                node.address, node.records.map { String($0) } ?? "-", node.usedBytes.map(readableBytes) ?? "-",
                node.freeBytes.map(readableBytes) ?? "-", report.arriving.text, report.leaving.text,
                node.acceptsWrites ? "yes" : "no",
            ])
        }
        output(table.text)
    }
}

/// `varve node show NAME`.
struct NodeShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show one storage node: what is left to be copied, how fast it goes, and what was ordered.",
        discussion: "Example: varve node show storage-3"
    )

    @OptionGroup var server: ServerOptions
    @Argument(help: "The node's name, or its id.") var node: String

    func run() async throws {
        let body = try await AdminClient(server).get("/api/v1/nodes/\(try pathPart(node))")
        if server.json {
            FileHandle.standardOutput.write(body)
            return
        }
        let detail = try JSONDecoder().decode(NodeDetailReport.self, from: body)
        let (report, node) = (detail.node, detail.node.node)
        output("node         \(node.name), id \(node.id), at \(node.address), domain \(node.domain)")
        output("state        \(node.state) since \(report.since)" + (node.reason.map { "; \($0)" } ?? ""))
        if let until = report.maintenanceUntil { output("maintenance  until \(until): not declared out before") }
        if let records = node.records, let used = node.usedBytes, let free = node.freeBytes {
            output("holds        \(records) records, \(readableBytes(used)); \(readableBytes(free)) free")
        }
        let capacity = node.capacityBytes.map { ", capacity \(readableBytes($0))" } ?? ""
        let claim = node.saysWeight.map { $0 == node.weight ? "" : "; the node says \($0)" } ?? ""
        output("weight       \(node.weight) in the placement map\(claim)\(capacity)")
        output("arriving     \(report.arriving.longText)")
        output("to copy      \(report.leaving.longText)")
        if let rate = detail.bytesPerSecond {
            let end = detail.expectedSeconds.map { "; done in about \(readableSeconds($0))" } ?? ""
            output("rate         \(readableBytes(Int64(rate)))/s in the whole cluster\(end)")
        }
        guard !detail.orders.isEmpty else { return }
        output("")
        var table = TextTable(["ORDER", "ASKED FOR", "BY", "REASON", "DECIDED", "RESULT"])
        for order in detail.orders {
            table.add([
                order.order, order.requestedAt, order.requestedBy, order.reason, order.decidedAt ?? "-",
                order.isRefused ? "refused: \(order.note)" : order.note,
            ])
        }
        output(table.text)
    }
}

extension RepairReport.Amount {
    fileprivate var text: String {
        instances == 0 && !isCounting ? "-" : readableBytes(bytes) + (isCounting ? "+" : "")
    }

    /// In words.
    var longText: String {
        if instances == 0 { return isCounting ? "being counted" : "nothing" }
        return "\(instances) instances, \(readableBytes(bytes))"
            + (isCounting ? ", and more that is being counted" : "")
    }
}

/// A time as a person reads it: `40 s`, `12 min`, `3.5 h`.
func readableSeconds(_ seconds: Double) -> String {
    if seconds < 100 { return "\(Int(seconds.rounded(.up))) s" }
    if seconds < 6000 { return "\(Int((seconds / 60).rounded(.up))) min" }
    return String(format: "%.1f h", seconds / 3600)
}

/// A name as part of a path.
func pathPart(_ text: String) throws -> String {
    let allowed = CharacterSet.urlPathAllowed.subtracting(CharacterSet(charactersIn: "/;"))
    guard !text.isEmpty, let part = text.addingPercentEncoding(withAllowedCharacters: allowed) else {
        throw ValidationError("'\(text)' is not a name")
    }
    return part
}
