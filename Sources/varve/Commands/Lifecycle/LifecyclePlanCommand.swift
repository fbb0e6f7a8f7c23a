// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest

/// `varve lifecycle plan [FILE]`.
struct LifecyclePlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Say what rules would make of all studies, and what that changes.",
        discussion: """
            Of a file, or without one of the rules that hold. Changes nothing.

            Example: varve lifecycle plan rules.yaml
            Example: varve lifecycle plan --on 2030-01-01 --list
            """
    )

    @OptionGroup var server: ServerOptions
    @Argument(help: "The file, YAML; without it the rules that hold.") var file: String?
    @Option(name: .customLong("on"), help: "Look at another day than today: YYYY-MM-DD.") var day: String?
    @Flag(help: "List every study that would get another policy, or expire, instead of the sums.") var list = false

    func run() async throws {
        let text = try file.map { try RuleSetArgument($0).text }
        let client = AdminClient(server)
        if list { return try await printList(client, text) }
        let body = try await client.send(
            "POST",
            "/api/v1/lifecycle/plan",
            body: JSONEncoder().encode(PlanRequest(text: text, day: day))
        )
        if server.json {
            FileHandle.standardOutput.write(body)
        } else {
            output(try JSONDecoder().decode(PlanReport.self, from: body).text)
        }
    }

    /// All studies, page by page: a line each, or JSON of one each.
    private func printList(_ client: AdminClient, _ text: String?) async throws {
        var after: Int64?
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys]
        repeat {
            let body = try await client.send(
                "POST",
                "/api/v1/lifecycle/plan/studies",
                body: JSONEncoder().encode(PlanRequest(text: text, day: day, list: 5_000, after: after))
            )
            let page = try JSONDecoder().decode(PlanListReport.self, from: body)
            for study in page.studies {
                if server.json {
                    FileHandle.standardOutput.write(try encoder.encode(study) + Data("\n".utf8))
                } else {
                    output(
                        "\(study.studyInstanceUID)  \(study.from.map { "\($0) -> " } ?? "")\(study.to)"
                            + "  by \(study.rule ?? "default")\(study.expires ? "  expires" : "")"
                    )
                }
            }
            after = page.next
        } while after != nil
    }
}
