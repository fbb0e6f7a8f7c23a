// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation

/// `varve lifecycle check FILE`.
struct LifecycleCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Read a file of rules, and say all that is wrong with it or what it says.",
        discussion: """
            Needs no server and changes nothing. The exit status is 1 when something is wrong; each line on standard \
            error is then FILE:LINE:COLUMN: what is wrong; what to do.

            Example: varve lifecycle check rules.yaml
            """
    )

    @Argument(help: "The file, YAML.") var file: String
    @Flag(help: "Print JSON.") var json = false

    func run() async throws {
        let report = RuleSetReport(try RuleSetArgument(file).ruleSet)
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            FileHandle.standardOutput.write(try encoder.encode(report) + Data("\n".utf8))
        } else {
            output(report.text)
        }
    }
}
