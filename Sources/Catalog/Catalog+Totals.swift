// SPDX-License-Identifier: Apache-2.0

/// What the whole catalog holds.
public struct CatalogTotals: Sendable, Hashable {
    public var studyCount: Int
    public var seriesCount: Int
    public var instanceCount: Int
    /// Bytes of all data sets as received, and of all payloads as stored (one copy).
    public var receivedByteCount: Int
    public var storedByteCount: Int
    /// Instances with fewer recorded copies than wanted, but for those that are in a sound cold pack only.
    public var underReplicatedCount: Int
}

extension Catalog {
    /// Counts everything; reads all instance rows, so it is for people and never for a hot path.
    public func totals(wantedCopies: Int) async throws(CatalogError) -> CatalogTotals {
        let wanted = PostgresValue.int4(Int32(clamping: wantedCopies))
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            guard let row = try connection.query(CatalogTotals.statement, [wanted], deadline: deadline).first else {
                throw PostgresFailure(kind: .unexpected, message: "counting the catalog gave no row")
            }
            return CatalogTotals(
                studyCount: row.int(0) ?? 0,
                seriesCount: row.int(1) ?? 0,
                instanceCount: row.int(2) ?? 0,
                receivedByteCount: row.int(3) ?? 0,
                storedByteCount: row.int(4) ?? 0,
                underReplicatedCount: row.int(5) ?? 0
            )
        }
    }
}

extension CatalogTotals {
    /// What is in packs only is compared with all that sound packs hold at once: asked for each, a million took minutes.
    fileprivate static let statement = PreparedStatement(
        "catalog_totals",
        """
        SELECT (SELECT count(*) FROM studies), (SELECT count(*) FROM series), count(*),
            coalesce(sum(i.received_bytes), 0)::bigint, coalesce(sum(i.stored_bytes), 0)::bigint,
            count(*) FILTER (WHERE cardinality(p.nodes) > 0 AND cardinality(p.nodes) < $1) + (
                SELECT count(*) FROM instances a
                WHERE a.placement IN (SELECT n.id FROM placements n WHERE cardinality(n.nodes) = 0) AND NOT EXISTS (
                    SELECT FROM (
                        SELECT unnest(c.records) AS record FROM cold_packs c
                        WHERE c.state = 4 AND c.verified_at IS NOT NULL
                            AND c.study_key IN (SELECT m.study_key FROM pack_moves m WHERE NOT m.keeps_hot)
                    ) s WHERE s.record = a.record
                )
            )
        FROM instances i JOIN placements p ON p.id = i.placement
        """
    )
}
