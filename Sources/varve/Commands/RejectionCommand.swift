// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve rejection`: what rejection notes (IHE IOCM) want hidden, and who decides.
struct RejectionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rejection",
        abstract: "List rejection notes that were stored, approve or dismiss them.",
        subcommands: [RejectionListCommand.self, RejectionApproveCommand.self, RejectionDismissCommand.self]
    )
}

/// `varve rejection list`.
struct RejectionListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List rejection notes that wait for somebody or something, the last first.",
        discussion: "Example: varve rejection list --all"
    )

    @OptionGroup var server: ServerOptions
    @Option(help: "How many notes at most.") var limit = 100
    @Flag(help: "Also those that are in force or dismissed: all that ever came.") var all = false

    func run() async throws {
        let path = "/api/v1/rejections?limit=\(limit)&all=\(all)"
        if server.json {
            FileHandle.standardOutput.write(try await AdminClient(server).get(path))
            return
        }
        let notes = try await AdminClient(server).get(path, as: [RejectionReport].self)
        guard !notes.isEmpty else {
            output(all ? "there are no rejection notes" : "no rejection note waits; --all lists all that came")
            return
        }
        var table = TextTable(
            ["NOTE", "FROM", "WHEN", "TITLE", "STUDY", "NAMED", "RETIRED", "AWAITED", "STATE"],
            rightAligned: [0, 5, 6, 7]
        )
        for note in notes {
            table.add([
                String(note.id), note.sender ?? "(HTTP)", note.receivedAt, note.meaning ?? note.title ?? "",
                note.studyInstanceUID ?? "", String(note.instances), String(note.retired), String(note.awaited),
                note.state + (note.note.map { ": \($0)" } ?? ""),
            ])
        }
        output(table.text)
    }
}

/// `varve rejection approve ID`.
struct RejectionApproveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "approve",
        abstract: "Have a rejection note acted on: what it names goes to the trash.",
        discussion: """
            Example: varve rejection approve 3 --reason "asked the ward"
            'varve study undelete' takes back what it retires.
            """
    )

    @OptionGroup var server: ServerOptions
    @Argument(help: "The note: its number in 'varve rejection list'.") var note: Int64
    @Option(help: "Why; kept for ever with the note.") var reason: String

    func validate() throws { try requireReason(reason) }

    func run() async throws {
        let body = try await decide(note, "approve", reason, server)
        if server.json {
            FileHandle.standardOutput.write(body)
        } else {
            output("rejection note \(note) is approved; 'varve rejection list --all' says what it has retired")
        }
    }
}

/// `varve rejection dismiss ID`.
struct RejectionDismissCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dismiss",
        abstract: "Have nothing (more) follow from a rejection note; what it has retired stays in the trash.",
        discussion: "Example: varve rejection dismiss 3 --reason \"sent by mistake\""
    )

    @OptionGroup var server: ServerOptions
    @Argument(help: "The note: its number in 'varve rejection list'.") var note: Int64
    @Option(help: "Why; kept for ever with the note.") var reason: String

    func validate() throws { try requireReason(reason) }

    func run() async throws {
        let body = try await decide(note, "dismiss", reason, server)
        if server.json {
            FileHandle.standardOutput.write(body)
        } else {
            output("rejection note \(note) is dismissed")
        }
    }
}

private func requireReason(_ reason: String) throws {
    guard reason.contains(where: { !$0.isWhitespace }) else { throw ValidationError("--reason must say why") }
}

private func decide(_ note: Int64, _ verb: String, _ reason: String, _ server: ServerOptions) async throws -> Data {
    try await AdminClient(server).send(
        "POST",
        "/api/v1/rejections/\(note)/\(verb)",
        body: JSONEncoder().encode(RejectionDecisionRequest(reason: reason))
    )
}
