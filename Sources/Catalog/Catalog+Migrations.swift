// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension Catalog {
    /// The schema version this program needs.
    public static var schemaVersion: Int { Migration.all.count }

    /// Brings the schema up to date; returns the versions applied now.
    ///
    /// Any number of processes may call it at once.
    ///
    /// Throws `.schema` when the database has versions this program does not know.
    public func migrate() async throws(CatalogError) -> [Int] {
        let outcome = try await performMigration { connection, deadline throws(PostgresFailure) in
            do throws(PostgresFailure) {
                return try Self.migrate(connection, deadline)
            } catch {
                // A step that failed leaves its transaction open; what rolling it back says does not matter.
                if connection.isUsable { try? connection.run(script: "ROLLBACK", deadline: deadline) }
                throw error
            }
        }
        switch outcome {
        case .applied(let versions): return versions
        case .unknownVersion(let version):
            throw CatalogError(
                .schema,
                "the database has schema version \(version), this program knows \(Self.schemaVersion); use a newer one"
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
        case unknownVersion(Int)
        case wrongEncoding(String)
    }

    /// The key of the advisory lock that lets one migration run at a time: "varve" in ASCII.
    private static let migrationLock: Int64 = 0x76_6172_7665

    private static func migrate(
        _ connection: PostgresConnection,
        _ deadline: NIODeadline
    ) throws(PostgresFailure) -> MigrationOutcome {
        let encoding = try connection.query("SHOW server_encoding", deadline: deadline).first?.text(0) ?? ""
        guard encoding == "UTF8" else { return .wrongEncoding(encoding) }
        // Each step and the note that it is done are one transaction; the lock ends with it. The lock comes first, in
        // a statement of its own, so that what is read next is what the holder before us left.
        var applied: [Int] = []
        for migration in Migration.all {
            try connection.run(
                script: """
                    BEGIN; SELECT pg_advisory_xact_lock(\(migrationLock));
                    CREATE TABLE IF NOT EXISTS schema_migrations (
                        version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
                    );
                    """,
                deadline: deadline
            )
            let newest =
                try connection.query("SELECT max(version) FROM schema_migrations", deadline: deadline)
                .first?.int(0) ?? 0
            if newest > Migration.all.count {
                try connection.run(script: "ROLLBACK", deadline: deadline)
                return .unknownVersion(newest)
            }
            if newest < migration.version {
                try connection.run(script: migration.sql, deadline: deadline)
                _ = try connection.query(
                    "INSERT INTO schema_migrations (version, name) VALUES ($1, $2)",
                    [.int4(Int32(migration.version)), .text(migration.name)],
                    deadline: deadline
                )
                applied.append(migration.version)
            }
            try connection.run(script: "COMMIT", deadline: deadline)
        }
        return .applied(applied)
    }
}
