// SPDX-License-Identifier: Apache-2.0

/// What a table of the catalog takes on the database's disk.
public struct TableSize: Sendable, Hashable {
    public var name: String
    /// Bytes of the rows, those stored out of line and the maps of free space included.
    public var rowByteCount: Int
    /// Bytes of each index, by name.
    public var indexByteCounts: [String: Int]

    public var byteCount: Int { rowByteCount + indexByteCounts.values.reduce(0, +) }
}

extension Catalog {
    /// What each table of the schema takes, the largest first.
    public func tableSizes() async throws(CatalogError) -> [TableSize] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            var sizes: [String: TableSize] = [:]
            for row in try connection.query(Self.tableSizeStatement, [], deadline: deadline).rows {
                let (table, index) = (row.text(0), row.text(1))
                var size = sizes[table] ?? TableSize(name: table, rowByteCount: 0, indexByteCounts: [:])
                if index.isEmpty {
                    size.rowByteCount = row.int(2) ?? 0
                } else {
                    size.indexByteCounts[index] = row.int(2) ?? 0
                }
                sizes[table] = size
            }
            return sizes.values.sorted { ($0.byteCount, $1.name) > ($1.byteCount, $0.name) }
        }
    }

    /// Has Postgres do now what its autovacuum does in its own time: mark what all can see, and count for the planner.
    ///
    /// Takes as long as reading the tables; stores and questions go on meanwhile.
    public func vacuum() async throws(CatalogError) {
        try await performMigration { connection, deadline throws(PostgresFailure) in
            for table in ["terms", "patients", "studies", "series", "instances", "study_facts"] {
                try connection.run(script: "VACUUM (ANALYZE) \(table)", deadline: deadline)
            }
        }
    }

    private static let tableSizeStatement = PreparedStatement(
        "table_sizes",
        """
        SELECT c.relname::text, '', pg_table_size(c.oid)::int8 FROM pg_class c
        WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
        UNION ALL
        SELECT c.relname::text, i.relname::text, pg_relation_size(i.oid)::int8
        FROM pg_class c JOIN pg_index x ON x.indrelid = c.oid JOIN pg_class i ON i.oid = x.indexrelid
        WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace
        """
    )
}
