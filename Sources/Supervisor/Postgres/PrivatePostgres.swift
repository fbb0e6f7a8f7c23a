// SPDX-License-Identifier: Apache-2.0

import Foundation
import Glibc
public import Logging

/// A PostgreSQL server of our own in `DIR/postgres`, run as a child of the supervisor.
///
/// It listens on a Unix socket only, in a directory that nobody else may enter, and trusts whoever gets there. It never
/// runs as root: where we do, it runs as the system's `postgres` user. After a `kill -9` the supervisor starts it again,
/// as often as needed: orphans of the dead server are ended, and while they hold its memory Postgres refuses to start.
public final class PrivatePostgres: Sendable {
    /// The child's name, and so `run/postgres.pid` and `log/postgres.log`.
    public static let processName = "postgres"
    /// The database and its owner.
    public static let databaseName = "varve"
    private static let setupName = "postgres-setup"

    private let supervisor: ProcessSupervisor
    private let logger: Logger
    private let programs: PostgresPrograms
    private let user: SystemUser?
    private let data: PostgresDataDirectory
    private let socketDirectory: String

    /// For libpq: `host=SOCKET-DIRECTORY port=5432 user=varve dbname=varve`.
    public var connectionString: String { connectionString(database: Self.databaseName) }

    /// Finds the programs and checks that the server will be able to reach its data; starts nothing.
    public init(supervisor: ProcessSupervisor, logger: Logger) throws(SupervisorError) {
        self.supervisor = supervisor
        self.logger = logger
        data = PostgresDataDirectory(path: supervisor.directory + "/postgres")
        programs = try PostgresPrograms.find(version: data.version)
        user = try Self.serverUser()
        if let user, let directory = PostgresDataDirectory.firstImpassable(above: data.path, for: user) {
            throw SupervisorError(
                .fileSystem,
                "the database runs as user \(user.name), who may not enter \(directory): "
                    + "allow it (chmod o+x \(directory)) or choose another --data directory"
            )
        }
        socketDirectory = try PostgresSocket.prepare(for: supervisor.directory, user: user)
    }

    /// Makes the database if there is none, starts the server, and waits until it answers.
    public func start(within limit: Duration = .seconds(60)) async throws(SupervisorError) {
        let deadline = ContinuousClock.now + limit
        if !data.exists { try await initialize() }
        try await waitForPredecessor(until: deadline)
        try await supervisor.start(serverSpecification)
        let isReady = command("pg_isready", ["-q", "-t", "1"] + connectionArguments("postgres"))
        let supervisor = supervisor
        try await supervisor.waitUntilReady(Self.processName, within: max(deadline - .now, .seconds(1))) {
            // Cannot be run now: not ready; the deadline ends it.
            (try? await supervisor.run(isReady, timeout: .seconds(5)))?.succeeded ?? false
        }
        try await createDatabase()
        logger.info("private database is ready", metadata: ["version": "\(programs.version)"])
    }

    /// Stops it quickly but in order: clients are cut off, what was committed is safe.
    public func stop() async { await supervisor.stop(Self.processName) }

    // MARK: - Steps

    /// Postgres refuses to run as root.
    private static func serverUser() throws(SupervisorError) -> SystemUser? {
        guard SystemUser.isRoot else { return nil }
        guard let user = SystemUser(named: "postgres"), user.userID != 0 else {
            throw SupervisorError(
                .postgresMissing,
                "PostgreSQL must not run as root and there is no user 'postgres': make one, "
                    + "or run varve as another user than root"
            )
        }
        return user
    }

    /// Beside its final place, and renamed at the end: a half-made database is never mistaken for one.
    private func initialize() async throws(SupervisorError) {
        let temporary = data.path + ".new"
        do {
            if FileManager.default.fileExists(atPath: temporary) {
                try FileManager.default.removeItem(atPath: temporary)
            }
            // An empty directory may stand in the way of the rename; anything else must stay.
            if rmdir(data.path) != 0, errno != ENOENT {
                throw SupervisorError(.fileSystem, "\(data.path) is no database and not empty: move it away")
            }
        } catch let error as SupervisorError {
            throw error
        } catch {
            throw SupervisorError(.fileSystem, "cannot remove \(temporary): \(error.localizedDescription)")
        }
        guard mkdir(temporary, 0o700) == 0, user.map({ chown(temporary, $0.userID, $0.groupID) == 0 }) ?? true else {
            throw SupervisorError(.fileSystem, "cannot make the directory \(temporary): \(systemMessage(errno))")
        }
        let arguments = [
            "--pgdata", temporary, "--encoding", "UTF8", "--locale", Self.locale, "--lc-messages", "C",
            "--username", Self.databaseName, "--auth", "trust", "--data-checksums",
        ]
        let result = try await supervisor.run(command("initdb", arguments), timeout: .seconds(300))
        guard result.succeeded else { throw failure("initdb", result) }
        guard rename(temporary, data.path) == 0 else {
            throw SupervisorError(.fileSystem, "cannot rename \(temporary): \(systemMessage(errno))")
        }
    }

    /// A server that an earlier supervisor left is told to end; its last processes are waited for.
    private func waitForPredecessor(until deadline: ContinuousClock.Instant) async throws(SupervisorError) {
        while true {
            let processes = data.processes
            if processes.isEmpty { break }
            if let postmaster = data.postmaster { kill(postmaster, SIGINT) } else { data.endOrphans() }
            guard ContinuousClock.now < deadline, !Task.isCancelled else {
                throw SupervisorError(
                    .postgresFailed,
                    "processes \(processes) still use \(data.path): end them and start again"
                )
            }
            // Cancellation ends the wait; the loop's next turn reports it.
            try? await Task.sleep(for: .milliseconds(100))
        }
        data.removeStaleLock()
    }

    private func createDatabase() async throws(SupervisorError) {
        let arguments = connectionArguments("postgres") + ["--no-psqlrc", "--tuples-only", "--no-align", "--command"]
        let query = "SELECT 1 FROM pg_database WHERE datname = '\(Self.databaseName)'"
        let known = try await supervisor.run(command("psql", arguments + [query]))
        guard known.succeeded else { throw failure("psql", known) }
        if known.output.contains("1") { return }
        let made = try await supervisor.run(command("psql", arguments + ["CREATE DATABASE \(Self.databaseName)"]))
        guard made.succeeded else { throw failure("psql", made) }
    }

    // MARK: - Programs

    private var serverSpecification: ChildSpecification {
        let data = data
        return ChildSpecification(
            name: Self.processName,
            executable: programs.path("postgres"),
            arguments: ["-D", data.path] + settings.flatMap { ["-c", $0] },
            workingDirectory: "/",
            user: user,
            stopSignal: SIGINT,  // fast shutdown
            gracePeriod: .seconds(60),  // a checkpoint may take that long; killed, it would recover at the next start
            parentDeathSignal: SIGINT,
            backOff: .init(initial: .milliseconds(200), maximum: .seconds(1)),
            beforeStart: {
                data.endOrphans()
                data.removeStaleLock()
            }
        )
    }

    /// On the command line rather than in a file, so that they hold for a data directory of any age.
    private var settings: [String] {
        [
            "listen_addresses=",
            "unix_socket_directories=\(socketDirectory)",
            "unix_socket_permissions=0700",
            "port=\(PostgresSocket.port)",
            "cluster_name=varve",
            "max_connections=100",
            "shared_buffers=128MB",
            // Acknowledged means durable.
            "fsync=on",
            "synchronous_commit=on",
            "full_page_writes=on",
            // Few, slow checkpoints: each makes the next write of every page a full one.
            "max_wal_size=2GB",
            "min_wal_size=256MB",
            "checkpoint_timeout=15min",
            "wal_level=replica",
            "max_wal_senders=0",
            "random_page_cost=1.1",
            "jit=off",
            // Errors must not show what a statement carried: names and ids of patients.
            "logging_collector=off",
            "log_destination=stderr",
            "log_line_prefix=%m [%p] ",
            "log_error_verbosity=terse",
            "log_min_error_statement=panic",
            "log_statement=none",
        ]
    }

    private func command(_ program: String, _ arguments: [String]) -> ChildSpecification {
        ChildSpecification(
            name: Self.setupName,
            executable: programs.path(program),
            arguments: arguments,
            workingDirectory: "/",
            user: user
        )
    }

    private func connectionString(database: String) -> String {
        "host='\(socketDirectory)' port=\(PostgresSocket.port) user=\(Self.databaseName) dbname=\(database)"
    }

    private func connectionArguments(_ database: String) -> [String] {
        ["--dbname", connectionString(database: database)]
    }

    private func failure(_ program: String, _ result: ProcessSupervisor.CommandResult) -> SupervisorError {
        let words = result.output.split(separator: "\n").suffix(5).joined(separator: " | ")
        return SupervisorError(.postgresFailed, "\(program) failed with \(result.status): \(words)")
    }

    /// Byte order for sorting, which indexes like, but Unicode's idea of letters, where the system has both.
    private static var locale: String {
        guard let locale = newlocale(1 << LC_CTYPE, "C.UTF-8", nil) else { return "C" }
        freelocale(locale)
        return "C.UTF-8"
    }
}
