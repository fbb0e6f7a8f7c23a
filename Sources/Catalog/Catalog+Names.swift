// SPDX-License-Identifier: Apache-2.0

extension Catalog {
    /// Folds names for searching that are not folded as this program does it; returns how many there were.
    ///
    /// At most `limit` of patients and as many of referring physicians: 0 when all are done.
    ///
    /// Stored and returned names stay as they are. Waits for no other transaction: what others hold is left for the next
    /// call. Any number of processes may call it at once.
    public func refoldNames(limit: Int) async throws(CatalogError) -> Int {
        let limit = PostgresValue.int8(Int64(max(1, limit)))
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            var count = 0
            for table in NameTable.all {
                let rows = try connection.query(table.selection, [limit], deadline: deadline).rows
                    .map { (id: Int64($0.int(0) ?? 0), name: $0.text(1)) }
                guard !rows.isEmpty else { continue }
                let keys = rows.map { PersonNameKey($0.name) }
                _ = try connection.query(
                    table.update,
                    [
                        .int8s(rows.map(\.id)), .texts(rows.map(\.name)), .texts(keys.map(\.alphabetic)),
                        .texts(keys.map(\.ideographic)), .texts(keys.map(\.phonetic)), .texts(keys.map(\.words)),
                    ],
                    deadline: deadline
                )
                count += rows.count
            }
            return count
        }
    }
}

/// A table with names in it, and how they are folded anew.
private struct NameTable {
    /// Ids and names that are not folded yet.
    let selection: PreparedStatement
    /// Writes the keys of names that are still the same, and that nobody holds.
    let update: PreparedStatement

    static let all = [
        NameTable(
            "patients",
            name: "name",
            words: "name_words",
            keys: ["name_key", "ideographic_key", "phonetic_key"]
        ),
        NameTable("studies", name: "referring", words: "referring_words", keys: ["referring_key"]),
    ]

    /// `keys` are the columns of the alphabetic, ideographic and phonetic key, as far as there are any.
    private init(_ table: String, name: String, words: String, keys: [String]) {
        self.selection = PreparedStatement(
            "unfolded_\(table)",
            "SELECT id, \(name) FROM \(table) WHERE \(words) IS NULL ORDER BY id LIMIT $1"
        )
        let sources = ["alphabetic", "ideographic", "phonetic"]
        let assignments = zip(keys, sources).map { "\($0) = n.\($1)" }.joined(separator: ", ")
        self.update = PreparedStatement(
            "refold_\(table)",
            """
            WITH free AS (
                SELECT id FROM \(table) WHERE id = ANY ($1::bigint[]) AND \(words) IS NULL
                FOR NO KEY UPDATE SKIP LOCKED
            )
            UPDATE \(table) x SET \(assignments), \(words) = words_of(n.words)
            FROM free JOIN unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
                AS n(id, name, alphabetic, ideographic, phonetic, words) ON n.id = free.id
            WHERE x.id = free.id AND x.\(name) = n.name
            """
        )
    }
}
