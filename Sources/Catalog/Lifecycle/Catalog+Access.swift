// SPDX-License-Identifier: Apache-2.0

/// Who read studies last, and what people marked them with.
extension Catalog {
    /// Notes when studies were last read, by UID, in milliseconds since 1970; what is noted already and later stays.
    ///
    /// Studies that are not in the catalog are passed over.
    public func noteAccess(_ times: [String: Int64]) async throws(CatalogError) {
        guard !times.isEmpty else { return }
        let sorted = times.sorted { $0.key < $1.key }
        let values: [PostgresValue] = [.texts(sorted.map { StoredText.clean($0.key) }), .int8s(sorted.map(\.value))]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.noteAccess, values, deadline: deadline).changedRowCount
        }
    }

    /// Marks a study with tags, and takes others away; what it is marked with then, nil when there is no such study.
    ///
    /// Throws `.invalid` for a tag that is empty or longer than 64 characters.
    public func changeTags(
        ofStudy uid: String,
        adding: [String],
        removing: [String],
        by client: String
    ) async throws(CatalogError) -> [String]? {
        let (adding, removing) = (adding.map(StoredText.clean), removing.map(StoredText.clean))
        for tag in adding where tag.isEmpty || tag.count > Self.maximumTagCharacterCount {
            throw CatalogError(.invalid, "a tag has 1 to \(Self.maximumTagCharacterCount) characters")
        }
        let values: [PostgresValue] = [
            .text(StoredText.clean(uid)), .texts(adding), .texts(removing), .text(StoredText.clean(client)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let row = try connection.query(Self.changeTags, values, deadline: deadline).first
            return row.flatMap { $0.isNull(0) ? nil : $0.texts(0) }
        }
    }

    /// Characters of a tag.
    public static let maximumTagCharacterCount = 64

    private static let noteAccess = PreparedStatement(
        "note_access",
        """
        INSERT INTO study_access AS a (study, accessed_at)
        SELECT t.id, n.at FROM unnest($1::text[], $2::int8[]) AS n(uid, at) JOIN studies t ON t.uid = n.uid
        ORDER BY t.id
        ON CONFLICT (study) DO UPDATE SET accessed_at = excluded.accessed_at
        WHERE excluded.accessed_at > a.accessed_at
        """
    )

    private static let changeTags = PreparedStatement("change_tags", "SELECT change_tags($1, $2, $3, $4)")
}
