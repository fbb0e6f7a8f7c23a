// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import Placement

/// Packs that go from their stores: what the coordinator in office reads and writes, and what people see of it.
extension Catalog {
    /// Marks packs that may be removed, at most `limit`, for a look after `grace`; says how many.
    public func markPacks(grace: Duration, limit: Int, term: Term) async throws(CatalogError) -> Int {
        let values: [PostgresValue] = [
            .term(term), .int8(grace.components.seconds * 1000), .int4(Int32(clamping: limit)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.markPacks, values, deadline: deadline).first?.int(0) ?? 0
        }
    }

    /// The packs that are to be removed from their stores now, at most `limit`; nobody reads from them any more.
    public func beginPackRemovals(limit: Int, term: Term) async throws(CatalogError) -> [ColdPack] {
        let values: [PostgresValue] = [.term(term), .int4(Int32(clamping: limit))]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.beginRemovals, values, deadline: deadline).rows.compactMap { ColdPack(row: $0) }
        }
    }

    /// Notes that a node has removed a pack.
    public func noteRemoved(_ pack: ColdPack, by node: NodeID, term: Term) async throws(CatalogError) {
        let values: [PostgresValue] = [.term(term), .uuid(high: pack.idHigh, low: pack.idLow), .node(node)]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.noteRemoved, values, deadline: deadline).rowCount
        }
    }

    /// Has a pack removed later; `note` says what is in the way.
    public func postponeRemoval(
        of pack: ColdPack,
        by delay: Duration,
        note: String,
        term: Term
    ) async throws(CatalogError) {
        let values: [PostgresValue] = [
            .term(term), .uuid(high: pack.idHigh, low: pack.idLow), .int8(delay.components.seconds * 1000),
            .text(StoredText.clean(note)),
        ]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.postponeRemoval, values, deadline: deadline).rowCount
        }
    }

    /// Gives up one pack of which a part was deleted for good, and plans one of the rest under a new id; false when there is
    /// none of which nodes have all of the rest.
    public func rewritePack(
        asHigh high: UInt64,
        low: UInt64,
        createdAtMilliseconds: Int64,
        term: Term
    ) async throws(CatalogError) -> Bool {
        let values: [PostgresValue] = [.term(term), .uuid(high: high, low: low), .int8(createdAtMilliseconds)]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.rewritePack, values, deadline: deadline).first?.bool(0) ?? false
        }
    }

    /// Has studies in packs only come back of which packs were deleted in part, at most `limit` at once, and the rest packed anew of
    /// those that have; says of how many studies.
    ///
    /// docs/decisions/0074-packs-deleted-in-part.md
    public func repack(limit: Int, term: Term) async throws(CatalogError) -> Repacking {
        let values: [PostgresValue] = [.term(term), .int4(Int32(clamping: limit))]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let row = try connection.query(Self.repack, values, deadline: deadline).first
            return Repacking(movedCount: row?.int(0) ?? 0, recalledCount: row?.int(1) ?? 0)
        }
    }

    /// The packs that are to be removed or were, the last first; at most `limit`.
    public func packRemovals(limit: Int) async throws(CatalogError) -> [PackRemoval] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.packRemovals, [.int4(Int32(clamping: limit))], deadline: deadline).rows
                .compactMap { PackRemoval(row: $0) }
        }
    }

    /// What is still in packs that are read from, although it was deleted and its time in the trash is over, tier by tier.
    ///
    /// Looks at all packs of studies of which something was deleted.
    public func deletedInPacks() async throws(CatalogError) -> [DeletedInPacks] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.deletedInPacks, [], deadline: deadline).rows.map { row in
                DeletedInPacks(
                    tier: row.text(0),
                    place: row.text(1),
                    packCount: row.int(2) ?? 0,
                    instanceCount: row.int(3) ?? 0
                )
            }
        }
    }

    private static let markPacks = PreparedStatement("mark_packs", "SELECT mark_packs($1, $2, $3)")

    private static let beginRemovals = PreparedStatement(
        "begin_pack_removals",
        """
        SELECT \(ColdPack.columns) FROM begin_pack_removals($1, $2) r(id)
            JOIN cold_packs c ON c.id = r.id JOIN pack_moves m ON m.id = c.move
        """
    )

    private static let noteRemoved = PreparedStatement("note_removed_pack", "SELECT note_removed_pack($1, $2, $3)")

    private static let postponeRemoval = PreparedStatement(
        "postpone_pack_removal",
        "SELECT postpone_pack_removal($1, $2, $3, $4)"
    )

    private static let rewritePack = PreparedStatement("rewrite_pack", "SELECT rewrite_pack($1, $2, $3)")

    private static let repack = PreparedStatement("repack", "SELECT moved, recalled FROM repack($1, $2)")

    private static let packRemovals = PreparedStatement(
        "pack_removals",
        """
        SELECT c.id, m.tier, m.place, m.study_uid, cardinality(c.records), c.byte_count, p.kind, p.requested_by, p.reason,
            (extract(epoch FROM p.requested_at) * 1000)::int8, (extract(epoch FROM p.due_at) * 1000)::int8,
            (extract(epoch FROM p.begun_at) * 1000)::int8, (extract(epoch FROM p.removed_at) * 1000)::int8,
            coalesce(n.name, ''), p.note
        FROM pack_removals p JOIN cold_packs c ON c.id = p.pack JOIN pack_moves m ON m.id = c.move
            LEFT JOIN nodes n ON n.node_id = p.removed_by
        ORDER BY p.requested_at DESC, p.pack LIMIT $1::int4
        """
    )

    private static let deletedInPacks = PreparedStatement(
        "deleted_in_packs",
        """
        SELECT m.tier, m.place, count(DISTINCT c.id), count(*) FROM cold_packs c JOIN pack_moves m ON m.id = c.move
            CROSS JOIN LATERAL run_out_of_pack(m.study_uid, c.records) r(record)
        WHERE c.state = 4 AND EXISTS (
            SELECT FROM deletions d WHERE d.study_uid = m.study_uid AND d.restored_at IS NULL
        )
        GROUP BY m.tier, m.place ORDER BY m.tier, m.place
        """
    )
}

extension PackRemoval {
    fileprivate init?(row: PostgresResult.Row) {
        guard let id = row.nodeID(0) else { return nil }
        self.init(
            pack: id,
            tier: row.text(1),
            place: row.text(2),
            studyInstanceUID: row.text(3),
            instanceCount: row.int(4) ?? 0,
            byteCount: Int64(row.int(5) ?? 0),
            isOfDeleted: row.int(6) == 1,
            requestedBy: row.text(7),
            reason: row.text(8),
            requestedAtMilliseconds: Int64(row.int(9) ?? 0),
            dueAtMilliseconds: Int64(row.int(10) ?? 0),
            begunAtMilliseconds: row.int(11).map(Int64.init),
            removedAtMilliseconds: row.int(12).map(Int64.init),
            removedBy: row.text(13),
            note: row.text(14)
        )
    }
}
