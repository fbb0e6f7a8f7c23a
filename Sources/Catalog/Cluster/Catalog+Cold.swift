// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import Placement

/// Instances that are in cold packs only: no node is the set of nodes that has them.
extension Catalog {
    /// Counts copies of a move's instances no more, at most `limit`, as far as its packs prove them; their nodes are to be told.
    ///
    /// After `.outcomeUnknown` it is asked again: what was done is not done twice.
    public func dropPackedCopies(ofMove move: Int64, limit: Int, term: Term) async throws(CatalogError) -> PackedDrop {
        let values: [PostgresValue] = [.term(term), .int8(move), .int4(Int32(clamping: limit))]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            guard let row = try connection.query(Self.dropPackedCopies, values, deadline: deadline).first else {
                throw PostgresFailure(kind: .unexpected, message: "copies were not dropped, and not refused")
            }
            switch row.int(0) {
            case 0: return .done
            case 1: return .dropped(row.int(3) ?? 0)
            case 2: return .held(Int64(row.int(1) ?? 0))
            case 4: return .recalled
            default:
                guard let pack = row.nodeID(2) else {
                    throw PostgresFailure(kind: .unexpected, message: "a pack to be read was not named")
                }
                return .unproven(high: pack.high, low: pack.low)
            }
        }
    }

    /// What nodes were to be told to drop of instances that are in packs only, and have not confirmed; at most `limit`.
    public func coldDrops(of nodes: [NodeID], limit: Int, term: Term) async throws(CatalogError) -> [UnconfirmedDrop] {
        let values: [PostgresValue] = [.term(term), .nodes(nodes), .int4(Int32(clamping: limit))]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.coldDrops, values, deadline: deadline).rows.compactMap { row in
                guard let record = row.recordID(0), let node = row.nodeID(1),
                    let placement = row.int(3).flatMap({ Int32(exactly: $0) })
                else { return nil }
                return UnconfirmedDrop(
                    record: record,
                    node: node,
                    attemptCount: row.int(2) ?? 0,
                    placement: placement,
                    nodes: [],
                    isInSoundPack: row.bool(4)
                )
            }
        }
    }

    /// Has a node told to drop a copy of what is in packs only; false when it is not, or no pack is known to be sound.
    public func orderColdDrop(_ record: RecordID, on node: NodeID, term: Term) async throws(CatalogError) -> Bool {
        let values: [PostgresValue] = [.term(term), .record(record), .node(node)]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.orderColdDrop, values, deadline: deadline).first?.bool(0) ?? false
        }
    }

    /// Those of `records` that are in a pack which is read from and was sound when all of it was read last.
    public func packed(among records: [RecordID]) async throws(CatalogError) -> Set<RecordID> {
        guard !records.isEmpty else { return [] }
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let rows = try connection.query(Self.packedAmong, [.records(records)], deadline: deadline).rows
            return Set(rows.compactMap { $0.recordID(0) })
        }
    }

    /// Those of `records` that are in the trash, were in packs only when they were deleted, and are in a sound one.
    public func packed(among records: [RecordID], ofDeletion deletion: Int64) async throws(CatalogError) -> [RecordID] {
        guard !records.isEmpty else { return [] }
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let values: [PostgresValue] = [.int8(deletion), .records(records)]
            return try connection.query(Self.packedInTrash, values, deadline: deadline).rows
                .compactMap { $0.recordID(0) }
        }
    }

    private static let dropPackedCopies = PreparedStatement(
        "drop_packed_copies",
        "SELECT outcome, found_hold, found_pack, dropped FROM drop_packed_copies($1, $2, $3)"
    )

    private static let coldDrops = PreparedStatement(
        "cold_drops",
        "SELECT found_record, found_node, found_attempts, found_placement, found_sound FROM cold_drops($1, $2, $3)"
    )

    private static let orderColdDrop = PreparedStatement("order_cold_drop", "SELECT order_cold_drop($1, $2, $3)")

    private static let packedAmong = PreparedStatement(
        "packed_among",
        "SELECT r.record FROM unnest($1::uuid[]) r(record) WHERE has_sound_pack(r.record)"
    )

    private static let packedInTrash = PreparedStatement(
        "packed_in_trash",
        """
        SELECT x.record FROM trashed_instances x JOIN placements p ON p.id = x.placement
        WHERE x.deletion = $1 AND x.record = ANY ($2::uuid[]) AND cardinality(p.nodes) = 0 AND has_sound_pack(x.record)
        """
    )
}
