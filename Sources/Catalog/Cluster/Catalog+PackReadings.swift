// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
public import Placement

/// Packs that are read whole because somebody wants to know, and what came of it.
extension Catalog {
    /// Has every pack read that has instances which are counted on no node, of `group` and those after it.
    ///
    /// What it finds goes by ``PackReadings/since``. Looks at all packs of these groups.
    public func wantPackReadings(from group: PlacementGroup) async throws(CatalogError) -> WantedPackReadings {
        let values = [Self.first(of: group)]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let row = try connection.query(Self.wantReadings, values, deadline: deadline).first
            return WantedPackReadings(
                since: Int64(row?.int(0) ?? 0),
                packCount: row?.int(1) ?? 0,
                byteCount: Int64(row?.int(2) ?? 0)
            )
        }
    }

    /// How far the readings are that were wanted at `since` or later.
    public func packReadings(since: Int64, from group: PlacementGroup) async throws(CatalogError) -> PackReadings {
        let values: [PostgresValue] = [.int8(since), Self.first(of: group)]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let row = try connection.query(Self.readings, values, deadline: deadline).first
            return PackReadings(
                openCount: row?.int(0) ?? 0,
                soundCount: row?.int(1) ?? 0,
                failedCount: row?.int(2) ?? 0,
                byteCount: Int64(row?.int(3) ?? 0),
                instanceCount: row?.int(4) ?? 0
            )
        }
    }

    /// The packs of these readings that were not found sound, or not read, with the instances that are counted on no node: at
    /// most `limit` packs after one of them.
    public func failedPackReadings(
        since: Int64,
        from group: PlacementGroup,
        after: NodeID?,
        limit: Int
    ) async throws(CatalogError) -> [FailedPackReading] {
        let values: [PostgresValue] = [
            .int8(since), Self.first(of: group), .node(after ?? NodeID(high: 0, low: 0)),
            .int4(Int32(clamping: limit)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            var found: [FailedPackReading] = []
            for row in try connection.query(Self.failedReadings, values, deadline: deadline).rows {
                guard let pack = row.nodeID(0) else { continue }
                if found.last?.pack != pack {
                    found.append(
                        FailedPackReading(
                            pack: pack,
                            tier: row.text(1),
                            studyInstanceUID: row.text(2),
                            isDamaged: row.bool(3),
                            isOffline: row.bool(7),
                            reason: row.text(4)
                        )
                    )
                }
                guard let record = row.recordID(5) else { continue }
                found[found.count - 1].instances.append((record, row.text(6)))
            }
            return found
        }
    }

    /// The packs that are to be read now, at most `limit`, and how often that has failed.
    public func duePackReadings(limit: Int, term: Term) async throws(CatalogError) -> [DuePackReading] {
        let values: [PostgresValue] = [.term(term), .int4(Int32(clamping: limit))]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.dueReadings, values, deadline: deadline).rows.compactMap { row in
                // Its columns, and one behind them.
                ColdPack(row: row).map { DuePackReading(pack: $0, attemptCount: row.int(17) ?? 0) }
            }
        }
    }

    /// Enters what came of a reading; nil: it is sound.
    ///
    /// What is damaged is in doubt from then on.
    public func endReading(
        of pack: ColdPack,
        by node: NodeID?,
        isDamaged: Bool,
        failure: String?,
        term: Term
    ) async throws(CatalogError) {
        let values: [PostgresValue] = [
            .term(term), .uuid(high: pack.idHigh, low: pack.idLow), .bytes(pack.digest?.bytes),
            node.map { .node($0) } ?? PostgresValue(type: PostgresValue.OID.uuid, bytes: nil),
            .bool(isDamaged), .text(StoredText.clean(failure ?? "")),
        ]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.endReading, values, deadline: deadline).rowCount
        }
    }

    /// Has a pack read later.
    public func postponeReading(
        of pack: ColdPack,
        by delay: Duration,
        attempts: Int,
        term: Term
    ) async throws(CatalogError) {
        let values: [PostgresValue] = [
            .term(term), .uuid(high: pack.idHigh, low: pack.idLow), .int8(delay.components.seconds * 1000),
            .int4(Int32(clamping: attempts)),
        ]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.postponeReading, values, deadline: deadline).rowCount
        }
    }

    /// Those of `records` whose copies may be dropped now because a pack proves them; the packs of the others are to be read.
    public func beginColdDrops(_ records: [RecordID], term: Term) async throws(CatalogError) -> Set<RecordID> {
        guard !records.isEmpty else { return [] }
        let values: [PostgresValue] = [.term(term), .records(records)]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            Set(try connection.query(Self.beginDrops, values, deadline: deadline).rows.compactMap { $0.recordID(0) })
        }
    }

    /// The lowest id that a study of the group can have.
    private static func first(of group: PlacementGroup) -> PostgresValue {
        .uuid(high: UInt64(group.rawValue) << 48, low: 0)
    }
}

extension Catalog {
    private static let wantReadings = PreparedStatement(
        "want_pack_readings",
        "SELECT since, found_packs, found_bytes FROM want_pack_readings($1)"
    )

    /// What was wanted in a microsecond and later.
    private static let wanted =
        "r.wanted_at >= to_timestamp(0) + $1::int8 * interval '1 microsecond' AND c.study_key >= $2"

    private static let readings = PreparedStatement(
        "pack_readings",
        """
        SELECT count(*) FILTER (WHERE r.ended_at IS NULL),
            count(*) FILTER (WHERE r.ended_at IS NOT NULL AND r.failure = ''),
            count(*) FILTER (WHERE r.ended_at IS NOT NULL AND r.failure <> ''),
            coalesce(sum(c.byte_count) FILTER (WHERE r.ended_at IS NOT NULL AND r.failure = ''), 0)::int8,
            coalesce(sum(cardinality(c.records)) FILTER (WHERE r.ended_at IS NOT NULL AND r.failure = ''), 0)::int8
        FROM pack_readings r JOIN cold_packs c ON c.id = r.pack WHERE \(wanted)
        """
    )

    private static let failedReadings = PreparedStatement(
        "failed_pack_readings",
        """
        SELECT f.id, m.tier, m.study_uid, f.is_damaged, f.failure, x.record, x.uid, f.is_offline
        FROM (
            SELECT c.id, c.move, c.records, r.is_damaged, r.ended_at IS NOT NULL AND \(ColdPack.isOffline) AS is_offline,
                CASE WHEN r.ended_at IS NULL THEN 'it has not been read yet' ELSE r.failure END AS failure
            FROM pack_readings r JOIN cold_packs c ON c.id = r.pack
            WHERE \(wanted) AND c.id > $3 AND (r.ended_at IS NULL OR r.failure <> '') ORDER BY c.id LIMIT $4::int4
        ) f JOIN pack_moves m ON m.id = f.move LEFT JOIN LATERAL (
            SELECT i.record, i.uid FROM unnest(f.records) q(record) JOIN instances i ON i.record = q.record
                JOIN placements p ON p.id = i.placement + 0
            WHERE cardinality(p.nodes) = 0
        ) x ON true ORDER BY f.id, x.record
        """
    )

    private static let dueReadings = PreparedStatement(
        "due_pack_readings",
        """
        SELECT \(ColdPack.columns), d.found_attempts FROM due_pack_readings($1, $2) d
            JOIN cold_packs c ON c.id = d.found_pack JOIN pack_moves m ON m.id = c.move
        """
    )

    private static let endReading = PreparedStatement(
        "end_pack_reading",
        "SELECT end_pack_reading($1, $2, $3, $4, $5, $6)"
    )

    private static let postponeReading = PreparedStatement(
        "postpone_pack_reading",
        "SELECT postpone_pack_reading($1, $2, $3, $4)"
    )

    private static let beginDrops = PreparedStatement(
        "begin_cold_drops",
        "SELECT r FROM begin_cold_drops($1, $2) r"
    )
}
