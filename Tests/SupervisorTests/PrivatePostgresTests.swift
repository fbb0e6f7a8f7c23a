// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
import Supervisor
import Testing

private let hasPostgres = (try? PostgresPrograms.find()) != nil
private let canRun = hasPostgres && (!SystemUser.isRoot || SystemUser(named: "postgres") != nil)

/// A real server in a directory of the test's own.
@Suite(.timeLimit(.minutes(5)), .enabled(if: canRun, "needs a PostgreSQL server")) struct PrivatePostgresTests {
    @Test("made, killed, back again, stopped, started on the same data")
    func life() async throws {
        let directory = try TemporaryDirectory()
        let supervisor = try ProcessSupervisor(directory: directory.path, restart: true, logger: quiet)
        let postgres = try PrivatePostgres(supervisor: supervisor, logger: quiet)
        try await postgres.start()
        try await query(supervisor, postgres, "CREATE TABLE t (n int); INSERT INTO t VALUES (42)")
        #expect(try await query(supervisor, postgres, "SHOW fsync") == "on\n")
        #expect(try await query(supervisor, postgres, "SHOW listen_addresses") == "\n")
        #expect(try await query(supervisor, postgres, "SHOW server_encoding") == "UTF8\n")

        // A backend that is busy does not notice that its postmaster died.
        let endless = "SELECT count(*) FROM (SELECT generate_series(1, 1e12::int8)) AS s"
        try await supervisor.start(
            ChildSpecification(
                name: "busy",
                executable: try PostgresPrograms.find().directory + "/psql",
                arguments: ["-XAtqd", postgres.connectionString, "-c", endless]
            )
        )
        try await supervisor.waitUntilReady("busy", within: .seconds(60)) {
            let running = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%1e12%'"
            return (try? await query(supervisor, postgres, running)) == "2\n"
        }
        let first = try directory.processID("postgres")
        kill(first, SIGKILL)
        await supervisor.stop("busy")
        var restarts = 0
        for await event in supervisor.events {
            // While orphans of the dead server hold its memory a new one ends at once: several starts may be needed.
            guard case .restarted("postgres", _) = event else { continue }
            restarts += 1
            break
        }
        #expect(restarts == 1)
        try await supervisor.waitUntilReady("postgres", within: .seconds(60)) {
            (try? await query(supervisor, postgres, "SELECT n FROM t")) == "42\n"
        }
        #expect(try directory.processID("postgres") != first)

        await postgres.stop()
        #expect(!directory.exists("run/postgres.pid"))
        #expect(!directory.exists("postgres/postmaster.pid"))
        supervisor.close()

        let later = try ProcessSupervisor(directory: directory.path, restart: true, logger: quiet)
        let again = try PrivatePostgres(supervisor: later, logger: quiet)
        try await again.start()
        #expect(try await query(later, again, "SELECT n FROM t") == "42\n")
        await later.stopAll()
        later.close()
    }

    @Test("a server that a killed supervisor left is ended first")
    func leftover() async throws {
        let directory = try TemporaryDirectory()
        let supervisor = try ProcessSupervisor(directory: directory.path, restart: false, logger: quiet)
        try await PrivatePostgres(supervisor: supervisor, logger: quiet).start()
        let processID = try directory.processID("postgres")
        // As if it had been killed: nothing is stopped, the kernel tells the children.
        supervisor.close()
        let later = try ProcessSupervisor(directory: directory.path, restart: false, logger: quiet)
        let again = try PrivatePostgres(supervisor: later, logger: quiet)
        try await again.start()
        #expect(try directory.processID("postgres") != processID)
        #expect(try await query(later, again, "SELECT 1") == "1\n")
        await later.stopAll()
        later.close()
        while waitpid(processID, nil, 0) < 0, errno == EINTR {}
    }

    @Test("a directory too long for a socket address has its socket elsewhere, and says where")
    func longPath() async throws {
        let directory = try TemporaryDirectory("-" + String(repeating: "long", count: 25))
        let supervisor = try ProcessSupervisor(directory: directory.path, restart: false, logger: quiet)
        let postgres = try PrivatePostgres(supervisor: supervisor, logger: quiet)
        let socket = try directory.text("run/postgres.socket").trimmingCharacters(in: .newlines)
        #expect(socket.hasPrefix("/tmp/varve-"))
        #expect(postgres.connectionString.contains("host='\(socket)'"))
        try await postgres.start()
        #expect(try await query(supervisor, postgres, "SELECT 1") == "1\n")
        await supervisor.stopAll()
        supervisor.close()
        try FileManager.default.removeItem(atPath: socket)
    }

    @Test("a directory that the server's user may not enter is named", .enabled(if: SystemUser.isRoot, "needs root"))
    func impassable() async throws {
        let directory = try TemporaryDirectory()
        let closed = "\(directory.path)/closed"
        #expect(mkdir(closed, 0o700) == 0)
        let supervisor = try ProcessSupervisor(directory: "\(closed)/data", restart: false, logger: quiet)
        do {
            _ = try PrivatePostgres(supervisor: supervisor, logger: quiet)
            Issue.record("it was accepted")
        } catch {
            #expect(error.code == .fileSystem && error.message.contains("chmod o+x \(closed)"), "\(error)")
        }
        supervisor.close()
    }

    @Test("something else in the database's place is left alone")
    func notADatabase() async throws {
        let directory = try TemporaryDirectory()
        try FileManager.default.createDirectory(
            atPath: "\(directory.path)/postgres/mine",
            withIntermediateDirectories: true
        )
        let supervisor = try ProcessSupervisor(directory: directory.path, restart: false, logger: quiet)
        let postgres = try PrivatePostgres(supervisor: supervisor, logger: quiet)
        await expectError(.fileSystem) { () throws(SupervisorError) in try await postgres.start() }
        #expect(directory.exists("postgres/mine"))
        supervisor.close()
    }

    @discardableResult
    private func query(
        _ supervisor: ProcessSupervisor,
        _ postgres: PrivatePostgres,
        _ statement: String
    ) async throws -> String {
        let psql = try PostgresPrograms.find().directory + "/psql"
        let result = try await supervisor.run(
            ChildSpecification(
                name: "query",
                executable: psql,
                arguments: ["-XAtq", "-d", postgres.connectionString, "-c", statement]
            )
        )
        #expect(result.succeeded || statement.hasPrefix("SELECT n"), "\(result.output)")
        return result.output
    }
}
