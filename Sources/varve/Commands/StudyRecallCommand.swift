// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve study recall UID`.
struct StudyRecallCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recall",
        abstract: "Have what is in packs only of a study come back to the storage nodes; its packs stay.",
        discussion: """
            Example: varve study recall 1.2.840.113619.2.5 --reason "is needed for a comparison"
            A move of the study that is open ends. 'varve study show' and 'varve tier recalls' tell how far it is, and \
            why when it needs a person; the same order again tries at once.
            """
    )

    @OptionGroup var server: ServerOptions
    @Argument(help: "The Study Instance UID.") var study: String
    @Flag(help: "End the recall that is under way or needs a person; what has come back stays.") var cancel = false
    @Option(help: "Why; kept for ever with the order.") var reason = "asked for by the operator"

    func validate() throws {
        try requireUID(study)
        guard reason.contains(where: { !$0.isWhitespace }) else { throw ValidationError("--reason must say why") }
    }

    func run() async throws {
        let path = "/api/v1/studies/\(study)/recall" + (cancel ? "/cancel" : "")
        let request = try JSONEncoder().encode(RecallOrderRequest(reason: reason))
        let body = try await AdminClient(server).send("POST", path, body: request)
        if server.json {
            FileHandle.standardOutput.write(body)
            return
        }
        let report = try JSONDecoder().decode(RecallReport.self, from: body)
        output(
            "recall \(report.id): \(report.state), \(report.instances) of \(report.wantedInstances) instances are back"
        )
        if !cancel { output("'varve study show \(study)' tells how far it is") }
    }
}
