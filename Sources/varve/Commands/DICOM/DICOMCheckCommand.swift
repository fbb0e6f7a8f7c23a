// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import DICOM
import Foundation
import NIOCore

/// `varve dicom check FILE...`.
struct DICOMCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Say what is wrong with DICOM files; exit status 1 when there are errors.",
        discussion: """
            An error is what a reader that keeps to the standard may refuse, misread or lose; a warning is against
            the standard, too, but understood alike by everyone. Each names the rule and the section of the standard.
            Example: varve dicom check --strict *.dcm
            """
    )

    @Argument(help: "Files.") var paths: [String]
    @Flag(help: "Print JSON: a list of files with their findings.") var json = false
    @Flag(help: "Exit with status 1 for warnings, too.") var strict = false
    @Option(help: "How many findings a file at most.") var limit = 500

    func validate() throws {
        guard limit >= 1 else { throw ValidationError("--limit must be at least 1") }
    }

    /// One file's part of the JSON output.
    fileprivate struct FileReport: Encodable {
        struct Finding: Encodable {
            let severity: String
            let rule: String
            let section: String
            let tagPath: String?
            let offset: Int?
            let message: String
        }

        let path: String
        var problem: String?
        var errors = 0
        var warnings = 0
        var omitted = 0
        var findings: [Finding] = []
    }

    func run() async throws {
        var files: [FileReport] = []
        var failed = false
        for path in paths {
            var file = FileReport(path: path)
            do {
                let report = try check(path)
                failed = failed || report.hasErrors || (strict && report.warningCount > 0)
                file.add(report)
                if !json { show(report, path) }
            } catch let error as CommandError {
                failed = true
                file.problem = error.description
                if !json { complain(error.description) }
            }
            files.append(file)
        }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            FileHandle.standardOutput.write(try encoder.encode(files) + Data("\n".utf8))
        }
        if failed { throw ExitCode(1) }
    }

    private func check(_ path: String) throws -> CheckReport {
        let input = try DICOMInput(path: path)
        var options = DataSetCheck.Options()
        options.maximumFindingCount = limit
        guard input.isHead else { return DataSetCheck.check(file: input.bytes, options: options) }
        complain("\(TerminalText.escaped(path)) is large: what follows the start of Pixel Data is not checked")
        let content = try input.read()
        return DataSetCheck.check(content.result, transferSyntax: content.syntax, options: options)
    }

    private func show(_ report: CheckReport, _ path: String) {
        let name = TerminalText.escaped(path)
        var lines = OutputLines()
        for finding in report.findings { lines.add("\(name): \(finding)") }
        if report.omittedCount > 0 { lines.add("\(name): \(report.omittedCount) more findings of the same rules") }
        lines.add("\(name): \(plural(report.errorCount, "error")), \(plural(report.warningCount, "warning"))")
        lines.flush()
    }

    private func plural(_ count: Int, _ word: String) -> String {
        count == 1 ? "1 \(word)" : "\(count) \(word)s"
    }
}

extension DICOMCheckCommand.FileReport {
    fileprivate mutating func add(_ report: CheckReport) {
        errors = report.errorCount
        warnings = report.warningCount
        omitted = report.omittedCount
        findings = report.findings.map { finding in
            Finding(
                severity: finding.severity.rawValue,
                rule: finding.rule.name,
                section: finding.rule.section,
                tagPath: finding.tagPath,
                offset: finding.offset,
                message: finding.message
            )
        }
    }
}
