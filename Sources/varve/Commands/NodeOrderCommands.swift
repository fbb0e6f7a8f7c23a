// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// An order about a storage node, which the coordinator in office carries out.
struct NodeOrderOptions: ParsableArguments {
    @OptionGroup var server: ServerOptions
    @Argument(help: "The node's name, or its id.") var node: String
    @Option(help: "Why; kept for ever with the order.") var reason = "asked for by the operator"

    func validate() throws {
        guard reason.contains(where: { !$0.isWhitespace }) else { throw ValidationError("--reason must say why") }
    }

    /// Sends the order and says what became of it; an error when it was refused, or nobody has decided yet.
    func send(_ order: String, minutes: Int? = nil) async throws {
        let body = try await AdminClient(server).send(
            "POST",
            "/api/v1/nodes/\(try pathPart(node))/\(order)",
            body: JSONEncoder().encode(NodeOrderRequest(reason: reason, minutes: minutes))
        )
        let report = try JSONDecoder().decode(NodeOrderReport.self, from: body)
        if server.json {
            FileHandle.standardOutput.write(body)
        } else if report.decidedAt != nil {
            output("\(node): \(report.note)")
            if let preview = report.preview { output(preview.text) }
        }
        guard report.decidedAt != nil else {
            throw CommandError(
                "\(node): no coordinator has decided yet; the next in office will. 'varve node show \(node)' tells"
            )
        }
    }
}

/// An order that can be looked at before it is given.
struct NodePreviewOptions: ParsableArguments {
    @OptionGroup var order: NodeOrderOptions
    @Flag(help: "Only say what would move, from where to where, and how long it would take; nothing is changed.")
    var preview = false

    /// Sends the order, or says what it would do; an error when it would be refused.
    func send(_ name: String) async throws {
        guard preview else { return try await order.send(name) }
        let path = "/api/v1/nodes/\(try pathPart(order.node))/preview?order=\(name)"
        let body = try await AdminClient(order.server).get(path)
        let report = try JSONDecoder().decode(PreviewReport.self, from: body)
        if order.server.json {
            FileHandle.standardOutput.write(body)
        } else {
            output("\(order.node): \(name) would do this; nothing is changed")
            output(report.text)
        }
        if let refusal = report.refusal { throw CommandError("\(order.node): would be refused: \(refusal)") }
    }
}

/// `varve node drain NAME`.
struct NodeDrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Have all that a node has copied to others, so that it can be removed; it takes no new instances.",
        discussion: """
            Example: varve node drain storage-3 --preview
            Example: varve node drain storage-3 --reason "its disks are five years old"
            What it has stays readable and counts until the others have it. 'varve node show' tells how far it is;
            'varve node undrain' takes it back. Also for a node that is gone for good and is not declared out, because too
            many were lost with it.
            """
    )

    @OptionGroup var order: NodePreviewOptions

    func run() async throws { try await order.send("drain") }
}

/// `varve node undrain NAME`.
struct NodeUndrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "undrain",
        abstract: "Take a node back into service that was to be emptied; what it still has counts as before.",
        discussion: "Example: varve node undrain storage-3"
    )

    @OptionGroup var order: NodePreviewOptions

    func run() async throws { try await order.send("undrain") }
}

/// `varve node remove NAME`.
struct NodeRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Remove a node for good; refused while it holds a copy that is needed.",
        discussion: """
            Example: varve node remove storage-3
            The node must be draining, or out. It is never taken in again as it is: with an empty data directory it is a new
            node. What is in the trash, and on this node only, cannot be undeleted any more. Where the catalog was away not long
            ago, wait first until all ingest nodes have entered what they stored meanwhile (varve_journal_entries is 0).
            """
    )

    @OptionGroup var order: NodePreviewOptions

    func run() async throws { try await order.send("remove") }
}

/// `varve node maintenance NAME`.
struct NodeMaintenanceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "maintenance",
        abstract: "Say that a node will be away for a while: what it has is not copied meanwhile.",
        discussion: """
            Example: varve node maintenance storage-3 --minutes 30 --reason "new kernel"
            Example: varve node maintenance storage-3 --off
            What it has one other copy of has one copy only while it is away. It ends by itself.
            """
    )

    @OptionGroup var order: NodeOrderOptions
    @Option(help: "How long, from now: 1 to 10080, a week.") var minutes: Int?
    @Flag(help: "End it now.") var off = false

    func validate() throws {
        guard off != (minutes != nil) else { throw ValidationError("say either --minutes or --off") }
        guard (1...10_080).contains(minutes ?? 1) else { throw ValidationError("--minutes must be from 1 to 10080") }
    }

    func run() async throws { try await order.send("maintenance", minutes: minutes ?? 0) }
}
