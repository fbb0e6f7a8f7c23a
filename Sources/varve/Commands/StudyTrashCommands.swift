// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve study delete UID`.
struct StudyDeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete",
        abstract: "Move a study to the trash: nothing shows it any more, and 'varve study undelete' takes it back.",
        discussion: """
            Example: varve study delete 1.2.840.113619.2.5 --reason "wrong patient"
            The room that it takes is not given back.
            """
    )

    @OptionGroup var server: ServerOptions
    @Argument(help: "The Study Instance UID.") var study: String
    @Option(help: "Why; kept for ever with the deletion.") var reason: String

    func validate() throws {
        try requireUID(study)
        guard reason.contains(where: { !$0.isWhitespace }) else { throw ValidationError("--reason must say why") }
    }

    func run() async throws {
        let body = try await AdminClient(server).send(
            "DELETE",
            "/api/v1/studies/\(study)",
            body: JSONEncoder().encode(TrashRequest(reason: reason))
        )
        if server.json {
            FileHandle.standardOutput.write(body)
            return
        }
        let count = try JSONDecoder().decode([String: Int].self, from: body)["instances"] ?? 0
        output("moved \(count) instances to the trash; 'varve study undelete \(study)' takes them back")
    }
}

/// `varve study undelete UID`.
struct StudyUndeleteCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "undelete",
        abstract: "Take back what was deleted of a study; exit status 1 when it is not back in time.",
        discussion: """
            Example: varve study undelete 1.2.840.113619.2.5
            'varve study trash' lists what can be taken back.
            """
    )

    @OptionGroup var server: ServerOptions
    @Argument(help: "The Study Instance UID.") var study: String
    @Option(help: "Only what this deletion took: its number in 'varve study trash'.") var deletion: Int64?
    @Option(help: "Why; kept for ever with the deletion.") var reason = "undeleted by the operator"
    @Option(help: "Wait so many seconds until everything is back; 0: do not wait.") var wait = 60

    func validate() throws {
        try requireUID(study)
        guard (0...86_400).contains(wait) else { throw ValidationError("--wait must be from 0 to 86400 seconds") }
    }

    func run() async throws {
        let client = AdminClient(server)
        let body = try await client.send(
            "POST",
            "/api/v1/studies/\(study)/undelete",
            body: JSONEncoder().encode(TrashRequest(reason: reason, deletion: deletion))
        )
        let count = try JSONDecoder().decode([String: Int].self, from: body)["deletions"] ?? 0
        if server.json { FileHandle.standardOutput.write(body) }
        guard wait > 0 else {
            if !server.json { output("\(count) deletions are being taken back") }
            return
        }
        let end = ContinuousClock.now + .seconds(wait)
        while true {
            let left = try await client.get("/api/v1/trash?limit=10000", as: [DeletionReport].self).filter { row in
                row.studyInstanceUID == study && row.undeletion != nil && (deletion == nil || row.id == deletion)
            }
            guard !left.isEmpty else { break }
            guard ContinuousClock.now < end else {
                let notes = left.compactMap(\.undeletion?.note).joined(separator: "; ")
                throw CommandError(
                    "\(left.count) of \(count) deletions are not taken back yet"
                        + (notes.isEmpty ? ": is a coordinator running?" : " (\(notes))")
                        + "; it goes on, see 'varve study trash'"
                )
            }
            try await Task.sleep(for: .milliseconds(300))
        }
        if !server.json { output("took back \(count) deletions") }
    }
}

/// `varve study trash`.
struct StudyTrashCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trash",
        abstract: "List what was deleted and can be taken back, the last first.",
        discussion: "Example: varve study trash"
    )

    @OptionGroup var server: ServerOptions
    @Option(help: "How many deletions at most.") var limit = 100
    @Flag(help: "Also what was taken back: all that was ever deleted.") var all = false

    func run() async throws {
        let path = "/api/v1/trash?limit=\(limit)&all=\(all)"
        if server.json {
            FileHandle.standardOutput.write(try await AdminClient(server).get(path))
            return
        }
        let deletions = try await AdminClient(server).get(path, as: [DeletionReport].self)
        guard !deletions.isEmpty else {
            output("the trash is empty")
            return
        }
        var table = TextTable(
            ["DELETION", "STUDY", "WHAT", "INSTANCES", "WHEN", "BY", "WHY", "STATE"],
            rightAligned: [0, 3]
        )
        for row in deletions {
            table.add([
                String(row.id), row.studyInstanceUID,
                row.sopInstanceUID.map { "instance \($0)" } ?? row.seriesInstanceUID.map { "series \($0)" } ?? "study",
                String(row.instances), row.deletion.requestedAt, row.deletion.requestedBy, row.deletion.reason,
                row.state,
            ])
        }
        output(table.text)
    }
}

extension DeletionReport {
    fileprivate var state: String {
        if let restoredAt { return "taken back \(restoredAt)" }
        if let undeletion { return "being taken back" + (undeletion.note.map { ": \($0)" } ?? "") }
        if deletion.doneAt != nil { return "deleted" }
        return "being deleted" + (deletion.note.map { ": \($0)" } ?? "")
    }
}

/// Throws unless `text` can be part of an address as it is.
func requireUID(_ text: String) throws {
    guard !text.isEmpty,
        text.utf8.allSatisfy({ $0 == UInt8(ascii: ".") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
    else { throw ValidationError("'\(text)' is not a UID: UIDs consist of digits and dots") }
}
