// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension Catalog {
    /// The newest schema version this program knows; it also runs on those before that differ by contractions only.
    public static var schemaVersion: Int { Migration.all.count }

    /// Brings the schema up to date; returns the versions applied now.
    ///
    /// Any number of processes may call it at once. Steps that take away what programs before them need are left out,
    /// unless the catalog is empty or `contracting` is true: no such program may run then (docs/upgrading.md).
    ///
    /// Throws `.schema` when the database has had a step that leaves this program out.
    public func migrate(contracting: Bool = false) async throws(CatalogError) -> [Int] {
        try await migrate(to: Self.schemaVersion, contracting: contracting)
    }

    /// As above, as a program would that knows only the versions up to `newest`.
    package func migrate(to newest: Int, contracting: Bool = false) async throws(CatalogError) -> [Int] {
        let steps = Migration.all.filter { $0.version <= newest }
        let outcome = try await performMigration { connection, deadline throws(PostgresFailure) in
            do throws(PostgresFailure) {
                try Self.lock(connection, deadline)
                let outcome = try Self.migrate(steps, contracting, connection, deadline)
                _ = try connection.query("SELECT pg_advisory_unlock(\(Self.migrationLock))", deadline: deadline)
                return outcome
            } catch {
                // A step that failed leaves its transaction open; what rolling it back says does not matter. The lock
                // goes with the connection, which is used for nothing else.
                if connection.isUsable { try? connection.run(script: "ROLLBACK", deadline: deadline) }
                throw error
            }
        }
        switch outcome {
        case .applied(let versions): return versions
        case .leftOut(let version):
            throw CatalogError(
                .schema,
                "the database has had step \(version) of the schema, which programs that know it only up to \(newest), "
                    + "as this one, cannot work with; use a newer one"
            )
        case .wrongEncoding(let encoding):
            throw CatalogError(
                .configuration,
                "the database has encoding \(encoding); create it with encoding UTF8"
            )
        }
    }

    private enum MigrationOutcome: Sendable {
        case applied([Int])
        case leftOut(by: Int)
        case wrongEncoding(String)
    }

    /// The key of the advisory lock that lets one migration run at a time: "varve" in ASCII.
    private static let migrationLock: Int64 = 0x76_6172_7665

    /// Waits for the lock by asking again: who waits inside a statement holds a snapshot, and an index that is built
    /// concurrently waits for all of those.
    private static func lock(_ connection: PostgresConnection, _ deadline: NIODeadline) throws(PostgresFailure) {
        let attempt = "SELECT CASE WHEN pg_try_advisory_lock(\(migrationLock)) THEN 1 ELSE 0 END"
        while try connection.query(attempt, deadline: deadline).first?.int(0) != 1 {
            _ = try connection.query("SELECT pg_sleep(0.05)", deadline: deadline)
        }
    }

    private static func migrate(
        _ steps: [Migration],
        _ contracting: Bool,
        _ connection: PostgresConnection,
        _ deadline: NIODeadline
    ) throws(PostgresFailure) -> MigrationOutcome {
        let encoding = try connection.query("SHOW server_encoding", deadline: deadline).first?.text(0) ?? ""
        guard encoding == "UTF8" else { return .wrongEncoding(encoding) }
        // What is noted without a kind was noted by a program that knew no contractions.
        try connection.run(
            script: """
                CREATE TABLE IF NOT EXISTS schema_migrations (
                    version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
                );
                ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS kind text NOT NULL DEFAULT 'expand';
                """,
            deadline: deadline
        )
        var done: Set<Int> = []
        for row in try connection.query("SELECT version, kind FROM schema_migrations", deadline: deadline).rows {
            guard let version = row.int(0) else { continue }
            if version > steps.count, row.text(1) != Migration.Kind.expand.rawValue { return .leftOut(by: version) }
            done.insert(version)
        }
        var applied: [Int] = []
        for step in steps where !done.contains(step.version) {
            if step.kind == .contract, !contracting {
                let any = try connection.query("SELECT series FROM instances LIMIT 1", deadline: deadline)
                guard any.first == nil else { continue }
            }
            for statement in step.concurrent { try connection.run(script: statement, deadline: deadline) }
            try connection.run(script: "BEGIN; \(step.sql)", deadline: deadline)
            _ = try connection.query(
                "INSERT INTO schema_migrations (version, name, kind) VALUES ($1, $2, $3)",
                [.int4(Int32(step.version)), .text(step.name), .text(step.kind.rawValue)],
                deadline: deadline
            )
            try connection.run(script: "COMMIT", deadline: deadline)
            applied.append(step.version)
        }
        return .applied(applied)
    }
}
