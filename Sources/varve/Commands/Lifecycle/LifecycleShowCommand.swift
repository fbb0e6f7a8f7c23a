// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import Ingest
import Lifecycle
import LifecycleFiles

/// `varve lifecycle show`.
struct LifecycleShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show the rules that hold, or those of an earlier version.",
        discussion: """
            Example: varve lifecycle show
            Example: varve lifecycle show --version 3 --text > rules.yaml
            """
    )

    @OptionGroup var server: ServerOptions
    @Option(help: "A version; without it the one that holds.") var version: Int64?
    @Flag(help: "The file as it was loaded.") var text = false

    func run() async throws {
        let path = "/api/v1/lifecycle/rules" + (version.map { "?version=\($0)" } ?? "")
        let body = try await AdminClient(server).get(path)
        let stored = try JSONDecoder().decode(StoredRulesReport.self, from: body)
        if text {
            FileHandle.standardOutput.write(Data(stored.text.utf8))
        } else if server.json {
            FileHandle.standardOutput.write(body)
        } else {
            output("version \(stored.version), loaded \(stored.loadedAt) by \(stored.loadedBy)")
            output("reason: \(stored.reason)\n")
            let ruleSet = try RuleFile.read(text: stored.text)
            output(RuleSetReport(ruleSet).text)
            let left = ruleSet.notCarriedOut
            if !left.isEmpty {
                output("\nwanted, and not carried out by this version:" + left.map { "\n  \($0)" }.joined())
            }
        }
    }
}

/// `varve lifecycle explain STUDY`.
struct LifecycleExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say why the rules decide as they do about a study: every rule that was tried, and why.",
        discussion: "Example: varve lifecycle explain 1.2.840.113619.2.5"
    )

    @OptionGroup var server: ServerOptions
    @Argument(help: "The Study Instance UID.") var study: String
    @Option(help: "By the rules of a version; without it those that hold.") var version: Int64?

    func validate() throws {
        try requireUID(study)
    }

    func run() async throws {
        let path = "/api/v1/lifecycle/studies/\(study)" + (version.map { "?version=\($0)" } ?? "")
        let body = try await AdminClient(server).get(path)
        if server.json {
            FileHandle.standardOutput.write(body)
        } else {
            let report = try JSONDecoder().decode(ExplanationReport.self, from: body)
            output("by version \(report.version), on \(report.day)\n\(report.text)")
        }
    }
}
