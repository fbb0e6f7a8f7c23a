// SPDX-License-Identifier: Apache-2.0

import Checksums

/// The rule sets that were loaded. Nothing here reads them: whoever loads one has checked it.
extension Catalog {
    /// The most bytes of a rule set's text, as of its file.
    public static let maximumRuleSetByteCount = 1 << 20

    /// Makes a rule set the one that holds, in place of version `current` (0: there is none), against which it was
    /// planned; its version.
    ///
    /// Throws `.conflict` when another version holds by now, and `.invalid` for a text that is too long or has NUL in it.
    /// Safe to repeat.
    public func loadRuleSet(
        _ text: String,
        replacing current: Int64,
        loadedBy client: String,
        reason: String
    ) async throws(CatalogError) -> Int64 {
        let bytes = Array(text.utf8)
        guard bytes.count <= Self.maximumRuleSetByteCount, !bytes.contains(0) else {
            throw CatalogError(
                .invalid,
                "a rule set has at most \(Self.maximumRuleSetByteCount) bytes, and none of them is NUL"
            )
        }
        var hasher = SHA256Hasher()
        hasher.update(bytes)
        let (client, reason) = (StoredText.clean(client), StoredText.clean(reason))
        let parameters: [PostgresValue] = [
            .int8(current), .text(client), .text(reason), .bytes(hasher.digest().bytes), .text(text),
        ]
        let isLoaded = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.loadRuleSet, parameters, deadline: deadline).changedRowCount > 0
        }
        if isLoaded { return current + 1 }
        // The first attempt may have done it though its answer was lost.
        let found = try await currentRuleSet()
        if let found, found.version == current + 1, found.text == text, found.loadedBy == client, found.reason == reason
        {
            return found.version
        }
        let holds = found.map { "version \($0.version) holds" } ?? "there is none"
        throw CatalogError(
            .conflict,
            "the rule set was planned against version \(current), and by now \(holds); plan it again"
        )
    }

    /// The rule set that holds; nil when none was ever loaded.
    public func currentRuleSet() async throws(CatalogError) -> StoredRuleSet? {
        try await ruleSet(version: nil)
    }

    /// The rule set of a version, with nil the one that holds.
    public func ruleSet(version: Int64?) async throws(CatalogError) -> StoredRuleSet? {
        let parameters: [PostgresValue] = [.int8(version ?? 0)]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.ruleSet, parameters, deadline: deadline).first.flatMap { StoredRuleSet(row: $0) }
        }
    }

    private static let loadRuleSet = PreparedStatement(
        "load_rule_set",
        """
        INSERT INTO rule_sets (version, loaded_by, reason, sha256, text)
        SELECT $1::int8 + 1, $2::text, $3::text, $4::bytea, $5::text
        WHERE $1::int8 = (SELECT coalesce(max(version), 0) FROM rule_sets)
        ON CONFLICT DO NOTHING
        """
    )

    private static let ruleSet = PreparedStatement(
        "rule_set",
        """
        SELECT version, (extract(epoch FROM loaded_at) * 1000)::int8, loaded_by, reason, sha256, text FROM rule_sets
        WHERE $1::int8 = 0 OR version = $1::int8 ORDER BY version DESC LIMIT 1
        """
    )
}

extension StoredRuleSet {
    fileprivate init?(row: PostgresResult.Row) {
        guard let version = row.int(0), let digest = row.digest(4) else { return nil }
        self.init(
            version: Int64(version),
            text: row.text(5),
            digest: digest,
            loadedAtMilliseconds: Int64(row.int(1) ?? 0),
            loadedBy: row.text(2),
            reason: row.text(3)
        )
    }
}
