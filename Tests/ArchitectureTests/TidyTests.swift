// SPDX-License-Identifier: Apache-2.0

import Foundation
import Testing

/// House rules that a machine can hold.
@Suite struct TidyTests {
    @Test func `no source file is longer than 600 lines, unless it is generated`() throws {
        for file in try SourceTree.swiftFiles(under: "Sources") where !file.path.contains("/Generated/") {
            #expect(file.lines.count <= 600, "\(file.path) has \(file.lines.count) lines: split it by subject")
        }
    }

    @Test func `every file names its licence first`() throws {
        for folder in ["Sources", "Tests"] {
            for file in try SourceTree.swiftFiles(under: folder) {
                #expect(file.lines.first == "// SPDX-License-Identifier: Apache-2.0", "\(file.path)")
            }
        }
    }

    @Test(arguments: ["try!", "fatalError(", "print(", "as! ", "Task.detached", "-Ounchecked", "@testable"])
    func `nothing in Sources says`(banned: String) throws {
        for file in try SourceTree.swiftFiles(under: "Sources") {
            for (number, line) in file.lines.enumerated() where line.contains(banned) && !isComment(line) {
                Issue.record("\(file.path):\(number + 1) contains '\(banned)'")
            }
        }
    }

    @Test(arguments: ["@unchecked Sendable", "nonisolated(unsafe)", "unowned(unsafe)"])
    func `what the compiler cannot prove has a Safety line above it`(claim: String) throws {
        for file in try SourceTree.swiftFiles(under: "Sources") {
            for (number, line) in file.lines.enumerated() where line.contains(claim) && !isComment(line) {
                let above = file.lines[max(0, number - 8)..<number]
                #expect(
                    above.contains { $0.contains("// Safety:") || $0.contains("/// Safety:") },
                    "\(file.path):\(number + 1) claims \(claim) without a '// Safety:' line"
                )
            }
        }
    }

    /// Logs are sent to places where patients' data must not go; an instance is told by its record, and by its UID at debug.
    @Test func `what is logged above debug names no UID`() throws {
        let levels = ["info", "notice", "warning", "error", "critical"].map { "ogger.\($0)(" }
        for file in try SourceTree.swiftFiles(under: "Sources") {
            for (number, line) in file.lines.enumerated() where levels.contains(where: line.contains) {
                let indent = line.prefix { $0 == " " }
                let isWhole = line.hasSuffix(")")
                let end = isWhole ? number : file.lines[number...].firstIndex { $0 == indent + ")" } ?? number
                let call = file.lines[number...end].filter { !isComment($0) }.joined(separator: "\n")
                for value in ["UID)", "\\(uid)", "study)", "series)", "instance)", "PatientID)"] {
                    #expect(!call.contains(value), "\(file.path):\(number + 1) logs \(value)")
                }
            }
        }
    }

    private func isComment(_ line: Substring) -> Bool {
        line.trimmingCharacters(in: .whitespaces).hasPrefix("//")
    }
}
