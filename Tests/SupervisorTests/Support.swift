// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Logging
import Supervisor
import Testing

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// A directory for one test, removed at its end, which other users may pass through.
final class TemporaryDirectory: Sendable {
    let path: String

    init(_ suffix: String = "") throws {
        path = "/tmp/varve-test-\(UUID().uuidString.prefix(8).lowercased())\(suffix)"
        try FileManager.default.createDirectory(
            atPath: path,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o755]
        )
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func exists(_ file: String) -> Bool { FileManager.default.fileExists(atPath: "\(path)/\(file)") }
    func text(_ file: String) throws -> String { try String(contentsOfFile: "\(path)/\(file)", encoding: .utf8) }

    func processID(_ name: String) throws -> pid_t {
        try #require(pid_t(text("run/\(name).pid").trimmingCharacters(in: .whitespacesAndNewlines)))
    }
}

extension ChildSpecification {
    /// A shell script as a child, restarted without delay.
    static func shell(_ name: String, _ script: String) -> ChildSpecification {
        ChildSpecification(
            name: name,
            executable: "/bin/sh",
            arguments: ["-c", script],
            backOff: .init(initial: .milliseconds(1), maximum: .milliseconds(2))
        )
    }
}

func expectError(
    _ code: SupervisorError.Code,
    _ location: SourceLocation = #_sourceLocation,
    _ work: () async throws(SupervisorError) -> Void
) async {
    do throws(SupervisorError) {
        try await work()
        Issue.record("it succeeded", sourceLocation: location)
    } catch {
        #expect(error.code == code, "\(error)", sourceLocation: location)
    }
}
