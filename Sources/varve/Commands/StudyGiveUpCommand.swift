// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve study give-up UID --tier NAME`.
struct StudyGiveUpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "give-up",
        abstract: "Give up a study's packs of a tier, when proven packs of other tiers hold all that is in them.",
        discussion: """
            Example: varve study give-up 1.2.840.113619.2.5 --tier cold --reason "it is in the bucket now"
            They are not read from any more, and go from their store where coordinators have 'purge-packs: yes'. The \
            status is 1 when some could not be given up.
            """
    )

    @OptionGroup var server: ServerOptions
    @Argument(help: "The Study Instance UID.") var study: String
    @Option(help: "The tier whose packs are to be given up.") var tier: String
    @Option(help: "Why; kept for ever with the packs.") var reason = "asked for by the operator"

    func validate() throws {
        try requireUID(study)
        guard reason.contains(where: { !$0.isWhitespace }) else { throw ValidationError("--reason must say why") }
    }

    func run() async throws {
        let request = try JSONEncoder().encode(GivingUpRequest(tier: tier, reason: reason))
        let body = try await AdminClient(server).send("POST", "/api/v1/studies/\(study)/give-up", body: request)
        let report = try JSONDecoder().decode(GivingUpReport.self, from: body)
        if server.json {
            FileHandle.standardOutput.write(body)
        } else {
            output("\(report.givenUp) packs of \(report.tier) were given up")
            if report.unproven > 0 {
                output(
                    "\(report.unproven) packs stay for now: those that hold the same are read first;"
                        + " give the order again when 'varve study show \(study)' says that they were"
                )
            }
            if report.needed > 0 {
                output(
                    "\(report.needed) packs stay: something in them is in no pack of another tier; what was deleted is needed"
                        + " until its time in the trash is over"
                )
            }
        }
        if report.unproven + report.needed > 0 { throw ExitCode.failure }
    }
}
