// SPDX-License-Identifier: Apache-2.0

import Glibc
import Logging
import NIOCore

/// One thread's hold on Postgres: the connection it has, or the next attempt to get one.
///
/// Never shared.
///
/// Everything remembered of the database (prepared statements, interned numbers) belongs to a connection and is
/// forgotten with it: after a failover the next server may have lost the latest rows.
final class CatalogSession {
    /// What a session is for.
    enum Purpose {
        /// Questions: planned for their values.
        case queries
        /// Batches of instances: only index lookups are wanted, whatever the statistics say of a table that was empty
        /// a minute ago.
        case commits
        /// Schema changes: no statement timeout.
        case migrations
    }

    private static let firstBackOffMilliseconds: Int64 = 50
    private static let maximumBackOffMilliseconds: Int64 = 2000

    private let targets: [ConnectionTarget]
    private let configuration: Catalog.Configuration
    private let purpose: Purpose
    private let logger: Logger
    /// Sleeps until the deadline, or less when the catalog shuts down; then returns false.
    private let pause: (NIODeadline) -> Bool

    private var connection: PostgresConnection?
    private var failedAttemptCount = 0
    private var nextAttempt = NIODeadline.now()
    private var lastFailure: PostgresFailure?
    /// Forgotten with every new connection.
    var memory = SessionMemory()

    init(
        targets: [ConnectionTarget],
        configuration: Catalog.Configuration,
        purpose: Purpose,
        logger: Logger,
        pause: @escaping (NIODeadline) -> Bool
    ) {
        self.targets = targets
        self.configuration = configuration
        self.purpose = purpose
        self.logger = logger
        self.pause = pause
    }

    /// The connection, made anew if need be: tries until the deadline, with growing pauses.
    func connected(deadline: NIODeadline) throws(PostgresFailure) -> PostgresConnection {
        while true {
            if let connection, connection.isStillOpen() { return connection }
            connection = nil
            let now = NIODeadline.now()
            guard now < deadline else {
                throw lastFailure
                    ?? PostgresFailure(kind: .cannotConnect, message: "no connection to Postgres within the deadline")
            }
            if nextAttempt > now {
                guard pause(min(nextAttempt, deadline)) else {
                    throw PostgresFailure(kind: .cannotConnect, message: "the catalog is being shut down")
                }
                continue
            }
            do {
                connection = try connectToAny(deadline: deadline)
                failedAttemptCount = 0
                lastFailure = nil
                memory = SessionMemory()
            } catch {
                noteFailedAttempt(error)
            }
        }
    }

    /// Closes the connection; the next use makes another.
    func disconnect() {
        connection = nil
    }

    private func noteFailedAttempt(_ failure: PostgresFailure) {
        if failedAttemptCount == 0 {
            logger.warning("cannot connect to Postgres, trying again", metadata: ["error": "\(failure.message)"])
        }
        lastFailure = failure
        failedAttemptCount += 1
        let ceiling = min(
            Self.firstBackOffMilliseconds << Int64(min(failedAttemptCount - 1, 10)),
            Self.maximumBackOffMilliseconds
        )
        // Full jitter over the upper half, so that many clients of a restarted server spread out.
        nextAttempt = .now() + .milliseconds(Int64.random(in: ceiling / 2...ceiling))
    }

    /// Tries each host once.
    private func connectToAny(deadline: NIODeadline) throws(PostgresFailure) -> PostgresConnection {
        var failure = PostgresFailure(kind: .cannotConnect, message: "the connection string names no host")
        for target in targets {
            let limit = min(deadline, .now() + TimeAmount(configuration.connectTimeout))
            do {
                let connection = try PostgresConnection.open(target, deadline: limit)
                try prepare(connection, deadline: limit)
                return connection
            } catch {
                failure = error
            }
        }
        throw failure
    }

    private func prepare(_ connection: PostgresConnection, deadline: NIODeadline) throws(PostgresFailure) {
        let timeout: Duration =
            switch purpose {
            case .queries: configuration.queryTimeout
            case .commits: configuration.commitTimeout
            case .migrations: .zero
            }
        var script = """
            SET client_connection_check_interval = '2s'; SET client_min_messages = warning; SET TimeZone = 'UTC'; SET jit = off;
            SET default_transaction_isolation = 'read committed';
            SET statement_timeout = \(TimeAmount(timeout).nanoseconds / 1_000_000);
            SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
            """
        if case .commits = purpose {
            // Planning a batch anew each time takes longer than running it.
            script += """
                SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
                SET plan_cache_mode = force_generic_plan;
                """
        }
        try connection.run(script: script, deadline: deadline)
    }
}
