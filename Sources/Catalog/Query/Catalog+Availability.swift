// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import Placement

/// What of a page of a search is in cold packs only.
///
/// Of studies that are not, which are most of most archives, nothing more than a small index is looked at.
extension Catalog {
    /// Those of `studies` of which something is in packs only, by Study Instance UID.
    ///
    /// A look into an index for each, and for studies that were never in packs only nothing else.
    public func studiesInPacksOnly(among studies: [String]) async throws(CatalogError) -> Set<String> {
        var keys: [RecordID] = []
        var byKey: [RecordID: [String]] = [:]
        for study in Set(studies) {
            guard let key = RecordID.range(studyInstanceUID: study)?.lowerBound else { continue }
            keys.append(key)
            byKey[key, default: []].append(study)
        }
        guard !keys.isEmpty else { return [] }
        let wanted = keys
        let found = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.keysInPacksOnly, [.records(wanted)], deadline: deadline).rows.compactMap { row in
                row.recordID(0).map { (key: $0, study: row.text(1)) }
            }
        }
        return Set(found.filter { byKey[$0.key]?.contains($0.study) ?? false }.map(\.study))
    }

    /// Those of `series`, by Series Instance UID, of which an instance is in packs only.
    public func seriesInPacksOnly(among series: [String]) async throws(CatalogError) -> Set<String> {
        guard !series.isEmpty else { return [] }
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let rows = try connection.query(Self.seriesInPacksOnly, [.texts(series)], deadline: deadline).rows
            return Set(rows.map { $0.text(0) })
        }
    }

    /// Those of `records` that are in packs only.
    public func instancesInPacksOnly(among records: [RecordID]) async throws(CatalogError) -> Set<RecordID> {
        guard !records.isEmpty else { return [] }
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let rows = try connection.query(Self.recordsInPacksOnly, [.records(records)], deadline: deadline).rows
            return Set(rows.compactMap { $0.recordID(0) })
        }
    }

    private static let keysInPacksOnly = PreparedStatement(
        "keys_in_packs_only",
        """
        SELECT DISTINCT c.study_key, m.study_uid FROM cold_packs c JOIN pack_moves m ON m.id = c.move
        WHERE c.is_only AND c.study_key = ANY ($1::uuid[])
        """
    )

    private static let seriesInPacksOnly = PreparedStatement(
        "series_in_packs_only",
        """
        SELECT e.uid FROM series e WHERE e.uid = ANY ($1::text[]) AND EXISTS (
            SELECT FROM instances i JOIN placements p ON p.id = i.placement
            WHERE i.series = e.id AND cardinality(p.nodes) = 0
        )
        """
    )

    private static let recordsInPacksOnly = PreparedStatement(
        "records_in_packs_only",
        """
        SELECT i.record FROM instances i JOIN placements p ON p.id = i.placement
        WHERE i.record = ANY ($1::uuid[]) AND cardinality(p.nodes) = 0
        """
    )
}
