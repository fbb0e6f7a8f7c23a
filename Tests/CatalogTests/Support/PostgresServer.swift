// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOConcurrencyHelpers

/// A private Postgres in a temporary directory, reached by its Unix socket only; gone when the tests end.
final class PostgresServer: Sendable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// The directory of Postgres' programs: `VARVE_POSTGRES_BIN`, or the newest of Debian's; `nil` when there is none.
    static let binaries: String? = {
        if let given = ProcessInfo.processInfo.environment["VARVE_POSTGRES_BIN"] { return given }
        let root = "/usr/lib/postgresql"
        // No such directory is the same as an empty one here.
        let versions = (try? FileManager.default.contentsOfDirectory(atPath: root)) ?? []
        return versions.compactMap { Int($0) }.sorted(by: >).map { "\(root)/\($0)/bin" }
            .first { FileManager.default.isExecutableFile(atPath: "\($0)/initdb") }
    }()

    static var isInstalled: Bool { binaries != nil }

    /// The server that tests share, each in a database of its own.
    static func shared() throws -> PostgresServer { try sharedResult.get() }

    private static let sharedResult = Result { try PostgresServer() }
    private static let running = NIOLockedValueBox<[PostgresServer]>([])

    let directory: String
    private let databaseCount = NIOLockedValueBox(0)
    private let settings: [String]

    /// Makes a cluster and starts it.
    init(settings: [String] = []) throws {
        var template = Array("/tmp/varve-postgres-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure(description: "mkdtemp failed") }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        self.settings = settings
        if geteuid() == 0 {
            try Self.run(["/bin/chown", "postgres", directory], in: "/tmp")
        }
        let data = "\(directory)/data"
        try run("initdb", ["-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"])
        try start()
        Self.running.withLockedValue { servers in
            if servers.isEmpty { atexit { PostgresServer.stopAll() } }
            servers.append(self)
        }
    }

    func start() throws {
        let options =
            ["-c listen_addresses=", "-c unix_socket_directories=\(directory)", "-c max_connections=500"]
            + settings.map { "-c \($0)" }
        try run(
            "pg_ctl",
            ["-D", "\(directory)/data", "-w", "-l", "\(directory)/log", "-o", options.joined(separator: " "), "start"]
        )
    }

    /// Stops the server: `immediate` is as a crash.
    func stop(mode: String = "immediate") throws {
        try run("pg_ctl", ["-D", "\(directory)/data", "-w", "-m", mode, "stop"])
    }

    /// How to reach a database of the server.
    func connectionString(database: String) -> String { "host=\(directory) user=postgres dbname=\(database)" }

    /// Makes an empty database; returns its name.
    func makeDatabase(encoding: String = "UTF8") throws -> String {
        let name = databaseCount.withLockedValue { count in
            count += 1
            return "test_\(count)"
        }
        try sql("CREATE DATABASE \(name) ENCODING '\(encoding)' TEMPLATE template0", database: "postgres")
        return name
    }

    /// Runs SQL through psql; returns its rows, fields separated by `|`.
    @discardableResult
    func sql(_ text: String, database: String) throws -> [String] {
        try run(
            "psql",
            ["-h", directory, "-U", "postgres", "-d", database, "-XqAt", "-v", "ON_ERROR_STOP=1", "-c", text]
        )
        .split(separator: "\n").map { String($0) }
    }

    @discardableResult
    private func run(_ program: String, _ arguments: [String]) throws -> String {
        guard let binaries = Self.binaries else { throw Failure(description: "Postgres is not installed") }
        let asPostgres = geteuid() == 0 ? ["/usr/sbin/runuser", "-u", "postgres", "--"] : []
        return try Self.run(asPostgres + ["\(binaries)/\(program)"] + arguments, in: directory)
    }

    /// Runs a command to its end; returns what it wrote.
    ///
    /// Not by Foundation's `Process`, which waits for everything that
    /// the command leaves behind, a server for example.
    @discardableResult
    private static func run(_ command: [String], in directory: String) throws -> String {
        let path = "\(directory)/output-\(UUID().uuidString)"
        defer { unlink(path) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, path, O_WRONLY | O_CREAT, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        // The working directory must be one that the user postgres may enter.
        let arguments = (["/usr/bin/env", "-C", directory] + command).map { strdup($0) }
        defer { for argument in arguments { free(argument) } }
        var process: pid_t = 0
        let status = posix_spawn(&process, "/usr/bin/env", &actions, nil, arguments + [nil], environ)
        guard status == 0 else { throw Failure(description: "cannot start \(command[0]): error \(status)") }
        var result: Int32 = 0
        while waitpid(process, &result, 0) < 0, errno == EINTR {}
        let output = String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
        guard result == 0 else { throw Failure(description: "\(command.joined(separator: " ")): \(output)") }
        return output
    }

    private static func stopAll() {
        for server in running.withLockedValue({ $0 }) {
            // At the end nothing can be done about a server that is stopped already.
            try? server.stop()
            try? FileManager.default.removeItem(atPath: server.directory)
        }
    }
}
