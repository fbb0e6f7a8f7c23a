// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve study move UID --tier NAME`.
struct StudyMoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "move",
        abstract: "Have a study written into packs of a tier, read back, and read back again after a while.",
        discussion: """
            Example: varve study move 1.2.840.113619.2.5 --tier cold --reason "ten years old"
            Where coordinators have 'drop-packed-copies: yes', the copies on storage nodes go then, unless --keep-hot is \
            given; 'varve study recall' brings them back. 'varve study show' tells how far it is, and why when it needs a \
            person; the same order again tries at once.
            """
    )

    @OptionGroup var server: ServerOptions
    @Argument(help: "The Study Instance UID.") var study: String
    @Option(help: "The tier, as the rules that are loaded call it.") var tier: String?
    @Flag(help: "End the move that is under way or needs a person; packs that are read from already stay.")
    var cancel = false
    @Flag(help: "The copies on storage nodes are to stay for good.") var keepHot = false
    @Option(help: "How long the packs stand before they are read a second time, in seconds.")
    var soakSeconds: Int64 = 604_800
    @Option(help: "Why; kept for ever with the order.") var reason = "asked for by the operator"

    func validate() throws {
        guard !study.isEmpty,
            study.utf8.allSatisfy({ $0 == UInt8(ascii: ".") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { throw ValidationError("'\(study)' is not a UID: UIDs consist of digits and dots") }
        guard cancel != (tier != nil) else { throw ValidationError("say either --tier NAME or --cancel") }
        guard (0...31_536_000).contains(soakSeconds) else {
            throw ValidationError("--soak-seconds must be from 0 to 31536000")
        }
        guard reason.contains(where: { !$0.isWhitespace }) else { throw ValidationError("--reason must say why") }
    }

    func run() async throws {
        let path = "/api/v1/studies/\(study)/move"
        let body: Data
        if let tier {
            let request = MoveRequest(tier: tier, keepHot: keepHot, soakSeconds: soakSeconds, reason: reason)
            body = try await AdminClient(server).send("POST", path, body: JSONEncoder().encode(request))
        } else {
            let request = MoveCancellation(reason: reason)
            body = try await AdminClient(server).send("POST", path + "/cancel", body: JSONEncoder().encode(request))
        }
        if server.json {
            FileHandle.standardOutput.write(body)
            return
        }
        let report = try JSONDecoder().decode(MoveReport.self, from: body)
        output("move \(report.id) to \(report.tier) at \(report.place): \(report.state)")
        guard !cancel else { return }
        output("'varve study show \(study)' tells how far it is")
    }
}
