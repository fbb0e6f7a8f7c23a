// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Supervisor
import Testing

@Suite(.timeLimit(.minutes(2))) struct ProcessSupervisorTests {
    private let directory: TemporaryDirectory

    init() throws { directory = try TemporaryDirectory() }

    private func makeSupervisor(restart: Bool = true) throws(SupervisorError) -> ProcessSupervisor {
        try ProcessSupervisor(directory: directory.path, restart: restart, logger: quiet)
    }

    @Test("a child that is killed comes back, under a new process id")
    func restart() async throws {
        let supervisor = try makeSupervisor()
        var events = supervisor.events.makeAsyncIterator()
        let first = try await supervisor.start(.shell("storage-1", "exec sleep 1000"))
        #expect(await events.next() == .started(name: "storage-1", processID: first))
        #expect(try directory.processID("storage-1") == first)
        for _ in 0..<3 {
            kill(try directory.processID("storage-1"), SIGKILL)
            guard case .exited("storage-1", .signalled(SIGKILL), .some) = await events.next() else {
                Issue.record("no exit")
                return
            }
            guard case .restarted("storage-1", let processID) = await events.next() else {
                Issue.record("no restart")
                return
            }
            #expect(try directory.processID("storage-1") == processID && processID != first)
        }
        #expect(await supervisor.children().map(\.restartCount) == [3])
        await supervisor.stopAll()
        #expect(!directory.exists("run/storage-1.pid"))
        supervisor.close()
    }

    @Test("the delay doubles up to its maximum")
    func backOff() async throws {
        let supervisor = try makeSupervisor()
        var child = ChildSpecification.shell("ingest-1", "exit 3")
        child.backOff = .init(initial: .milliseconds(1), maximum: .milliseconds(4))
        try await supervisor.start(child)
        var delays: [Duration] = []
        for await event in supervisor.events {
            if case .exited(_, .exited(3), let delay?) = event { delays.append(delay) }
            if delays.count == 4 { break }
        }
        #expect(delays == [1, 2, 4, 4].map { .milliseconds($0) })
        await supervisor.stopAll()
        supervisor.close()
    }

    @Test("without restarts the dead stay dead")
    func noRestart() async throws {
        let supervisor = try makeSupervisor(restart: false)
        var events = supervisor.events.makeAsyncIterator()
        let first = try await supervisor.start(.shell("storage-1", "exec sleep 1000"))
        _ = await events.next()
        kill(first, SIGKILL)
        #expect(
            await events.next() == .exited(name: "storage-1", status: .signalled(SIGKILL), restartsAfter: nil)
        )
        #expect(await supervisor.children().map(\.hasEnded) == [true])
        #expect(!directory.exists("run/storage-1.pid"))
        await expectError(.childEnded) { () throws(SupervisorError) in
            try await supervisor.waitUntilReady("storage-1", within: .seconds(60)) { false }
        }
        // By hand it starts again; twice it does not.
        try await supervisor.start(.shell("storage-1", "exec sleep 1000"))
        await expectError(.invalidSpecification) { () throws(SupervisorError) in
            try await supervisor.start(.shell("storage-1", "exec sleep 1000"))
        }
        await supervisor.stopAll()
        supervisor.close()
    }

    @Test("children stop in the order given, the rest last started first")
    func order() async throws {
        let supervisor = try makeSupervisor()
        for name in ["one", "two", "three", "four"] {
            let script = """
                trap 'echo \(name) >> \(directory.path)/order; exit 0' TERM
                touch \(directory.path)/ready-\(name)
                while :; do sleep 0.01; done
                """
            try await supervisor.start(.shell(name, script))
            try await supervisor.waitUntilReady(name, within: .seconds(60), every: .milliseconds(5)) {
                directory.exists("ready-\(name)")
            }
        }
        #expect(await supervisor.children().map(\.name) == ["one", "two", "three", "four"])
        await supervisor.stopAll(order: ["three", "unknown", "one"])
        #expect(try directory.text("order") == "three\none\nfour\ntwo\n")
        #expect(await supervisor.children().isEmpty)
        supervisor.close()
    }

    @Test("who does not end in time is killed")
    func gracePeriod() async throws {
        let supervisor = try makeSupervisor()
        var child = ChildSpecification.shell(
            "deaf",
            "trap '' TERM; touch \(directory.path)/ready; while :; do sleep 0.01; done"
        )
        child.gracePeriod = .milliseconds(50)
        try await supervisor.start(child)
        try await supervisor.waitUntilReady("deaf", within: .seconds(60)) { directory.exists("ready") }
        await supervisor.stop("deaf")
        var events = supervisor.events.makeAsyncIterator()
        _ = await events.next()
        #expect(await events.next() == .exited(name: "deaf", status: .signalled(SIGKILL), restartsAfter: nil))
        supervisor.close()
    }

    @Test("stopping a child that waits for its restart")
    func stopWhileDead() async throws {
        let supervisor = try makeSupervisor()
        var child = ChildSpecification.shell("ingest-1", "exit 1")
        child.backOff = .init(initial: .seconds(1_000), maximum: .seconds(1_000))
        try await supervisor.start(child)
        for await event in supervisor.events { if case .exited = event { break } }
        await supervisor.stop("ingest-1")
        #expect(await supervisor.children().isEmpty)
        #expect(!directory.exists("run/ingest-1.pid"))
        supervisor.close()
    }

    @Test("output goes to the log, both streams, start after start")
    func log() async throws {
        let supervisor = try makeSupervisor(restart: false)
        for number in 1...2 {
            try await supervisor.start(.shell("talker", "echo out \(number); echo err \(number) >&2"))
            for await event in supervisor.events { if case .exited = event { break } }
        }
        #expect(try directory.text("log/talker.log") == "out 1\nerr 1\nout 2\nerr 2\n")
        supervisor.close()
    }

    @Test("a child has nothing of ours open, leads a session, and knows its directory")
    func cleanStart() async throws {
        let supervisor = try makeSupervisor()
        let open = open("/etc/passwd", O_RDONLY)
        defer { close(open) }
        // 3 is the directory that ls itself reads.
        let files = try await supervisor.run(.shell("probe", "exec ls /proc/self/fd"))
        #expect(files.output == "0\n1\n2\n3\n")
        let input = try await supervisor.run(.shell("probe", "readlink /proc/self/fd/0"))
        #expect(input.output == "/dev/null\n")
        let session = try await supervisor.run(
            .shell("probe", "set -- $(cat /proc/$$/stat); [ $1 = $6 ] && echo leads")
        )
        #expect(session.output == "leads\n")
        var child = ChildSpecification.shell("probe", "echo $MINE $VARVE_SUPERVISED_DIRECTORY; pwd")
        child.environment = ["MINE": "yes"]
        child.workingDirectory = "/usr"
        #expect(try await supervisor.run(child).output == "yes \(directory.path)\n/usr\n")
        supervisor.close()
    }

    @Test("commands report how they end, and are killed at their deadline")
    func commands() async throws {
        let supervisor = try makeSupervisor()
        #expect(try await supervisor.run(.shell("setup", "exit 0")).succeeded)
        #expect(try await supervisor.run(.shell("setup", "exit 4")).status == .exited(4))
        let endless = try await supervisor.run(.shell("setup", "exec sleep 1000"), timeout: .milliseconds(20))
        #expect(endless.status == .signalled(SIGKILL))
        #expect(!directory.exists("run/setup.pid"))
        supervisor.close()
    }

    @Test("as another user", .enabled(if: SystemUser.isRoot && SystemUser(named: "nobody") != nil, "needs root"))
    func user() async throws {
        let supervisor = try makeSupervisor()
        var child = ChildSpecification.shell("probe", "id -un; id -Gn")
        child.user = SystemUser(named: "nobody")
        #expect(try await supervisor.run(child).output == "nobody\nnogroup\n")
        supervisor.close()
    }

    @Test("what cannot be started says why")
    func failures() async throws {
        let supervisor = try makeSupervisor()
        let missing = ChildSpecification(name: "missing", executable: "/nonexistent/program")
        await expectError(.spawnFailed) { () throws(SupervisorError) in try await supervisor.start(missing) }
        var lost = ChildSpecification.shell("lost", "true")
        lost.workingDirectory = "/nonexistent"
        await expectError(.spawnFailed) { () throws(SupervisorError) in try await supervisor.start(lost) }
        for name in ["", "../etc", "UP", "a b", String(repeating: "a", count: 65)] {
            await expectError(.invalidSpecification) { () throws(SupervisorError) in
                try await supervisor.start(.shell(name, "true"))
            }
        }
        await expectError(.invalidSpecification) { () throws(SupervisorError) in
            try await supervisor.start(.shell("nul", "a\0b"))
        }
        #expect(await supervisor.children().isEmpty)
        #expect(!directory.exists("run/missing.pid"))
        supervisor.close()
        await expectError(.spawnFailed) { () throws(SupervisorError) in
            try await supervisor.start(.shell("late", "true"))
        }
    }

    @Test("not ready by the deadline")
    func notReady() async throws {
        let supervisor = try makeSupervisor()
        try await supervisor.start(.shell("slow", "exec sleep 1000"))
        await expectError(.notReady) { () throws(SupervisorError) in
            try await supervisor.waitUntilReady("slow", within: .milliseconds(10), every: .milliseconds(1)) { false }
        }
        await supervisor.stopAll()
        supervisor.close()
    }
}
