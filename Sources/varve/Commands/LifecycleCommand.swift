// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DICOM
import Foundation
import Lifecycle
import LifecycleFiles

/// `varve lifecycle ...`: the rules by which an archive ages.
struct LifecycleCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lifecycle",
        abstract: "Check the rules by which an archive ages: tiers, policies, retention.",
        discussion: """
            This version reads and checks rules; nothing is moved or deleted by them yet. See docs/lifecycle.md and \
            the examples in deploy/lifecycle.

            Example: varve lifecycle check deploy/lifecycle/radiology.yaml
            """,
        subcommands: [LifecycleCheckCommand.self]
    )
}

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
        let name = TerminalText.escaped(file)
        let report: RuleSetReport
        do throws(RuleSetError) {
            report = RuleSetReport(try RuleFile.read(path: file))
        } catch {
            for problem in error.problems { complain("\(name):\(problem.location == nil ? " " : "")\(problem)") }
            if error.omittedCount > 0 { complain("\(name): and \(error.omittedCount) more") }
            throw ExitCode(1)
        }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            FileHandle.standardOutput.write(try encoder.encode(report) + Data("\n".utf8))
        } else {
            output(report.text)
        }
    }
}
