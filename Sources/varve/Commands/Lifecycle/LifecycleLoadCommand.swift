// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve lifecycle load FILE`.
struct LifecycleLoadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Make a file of rules those that hold, after planning them.",
        discussion: """
            Every version is kept. Rules by which more than --maximum-expire percent of the studies would expire today \\
            are refused unless --confirm-expire says how many these are.

            Example: varve lifecycle load rules.yaml --reason "ten years by decision of the board"
            """
    )

    @OptionGroup var server: ServerOptions
    @Argument(help: "The file, YAML.") var file: String
    @Option(help: "Why; kept for ever with the rules.") var reason: String
    @Option(help: "Percent of all studies that may expire by the rules without a word.")
    var maximumExpire = 1.0
    @Option(help: "The number of studies that expire by the rules, as the plan says it.") var confirmExpire: Int64?

    func validate() throws {
        guard reason.contains(where: { !$0.isWhitespace }) else { throw ValidationError("--reason must say why") }
        guard 0...100 ~= maximumExpire else { throw ValidationError("--maximum-expire must be from 0 to 100 percent") }
    }

    func run() async throws {
        let request = LoadRequest(
            text: try RuleSetArgument(file).text,
            reason: reason,
            maximumExpiringPercent: maximumExpire,
            confirmExpire: confirmExpire
        )
        let body = try await AdminClient(server).send(
            "POST",
            "/api/v1/lifecycle/rules",
            body: JSONEncoder().encode(request)
        )
        let report = try JSONDecoder().decode(LoadReport.self, from: body)
        if server.json {
            FileHandle.standardOutput.write(body)
        } else {
            output(report.plan.text)
        }
        if let refusal = report.refusal {
            complain("not loaded: \(refusal)")
            throw ExitCode(1)
        }
        if !server.json { output("\nversion \(report.version ?? 0) holds now; it acts after 'varve lifecycle enable'") }
    }
}
