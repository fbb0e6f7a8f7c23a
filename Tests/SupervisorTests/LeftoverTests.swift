// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Supervisor
import Testing

/// One supervisor a directory, and what a killed one leaves behind.
@Suite(.timeLimit(.minutes(2))) struct LeftoverTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func makeSupervisor() throws(SupervisorError) -> ProcessSupervisor {
        try ProcessSupervisor(directory: directory.path, restart: true, logger: quiet)
    }

    @Test("a second supervisor on one directory is turned away until the first is closed")
    func lock() async throws {
        let first = try makeSupervisor()
        await expectError(.alreadyRunning) { () throws(SupervisorError) in _ = try makeSupervisor() }
        let other = try TemporaryDirectory()
        try ProcessSupervisor(directory: other.path, restart: true, logger: quiet).close()
        first.close()
        first.close()
        try makeSupervisor().close()
    }

    @Test("a child does not hold the lock")
    func lockAndChild() async throws {
        let first = try makeSupervisor()
        let processID = try await first.start(deathless("exec sleep 1000"))
        first.close()
        let second = try makeSupervisor()
        #expect(await second.children().isEmpty)
        #expect(status(of: processID) == SIGTERM)
        second.close()
    }

    @Test("the kernel ends children whose supervisor is gone")
    func parentDeath() async throws {
        let supervisor = try makeSupervisor()
        let processID = try await supervisor.start(.shell("storage-1", "exec sleep 1000"))
        supervisor.close()
        #expect(status(of: processID) == SIGTERM)
    }

    @Test("a predecessor's children are ended, strangers with their process ids are not")
    func leftovers() async throws {
        let first = try makeSupervisor()
        let processID = try await first.start(deathless("exec sleep 1000"))
        first.close()
        let stranger = Process()
        stranger.executableURL = URL(filePath: "/bin/sleep")
        stranger.arguments = ["1000"]
        try stranger.run()
        try "\(stranger.processIdentifier)\n".write(
            toFile: "\(directory.path)/run/ingest-1.pid",
            atomically: true,
            encoding: .utf8
        )
        try "rubbish".write(toFile: "\(directory.path)/run/ingest-2.pid", atomically: true, encoding: .utf8)
        let second = try makeSupervisor()
        _ = await second.children()
        #expect(status(of: processID) == SIGTERM)
        #expect(stranger.isRunning)
        for name in ["leftover", "ingest-1", "ingest-2"] { #expect(!directory.exists("run/\(name).pid")) }
        second.close()
        // Foundation's children inherit the blocked signals of the thread that starts them, SIGTERM among them.
        kill(stranger.processIdentifier, SIGKILL)
        stranger.waitUntilExit()
    }

    /// A child that the kernel does not end with its supervisor.
    private func deathless(_ script: String) -> ChildSpecification {
        var child = ChildSpecification.shell("leftover", script)
        child.parentDeathSignal = 0
        return child
    }

    /// Waits for a child of this process that no supervisor waits for, and says which signal ended it.
    private func status(of processID: pid_t) -> Int32 {
        var status: Int32 = 0
        while waitpid(processID, &status, 0) < 0, errno == EINTR {}
        return status & 0x7F
    }
}
