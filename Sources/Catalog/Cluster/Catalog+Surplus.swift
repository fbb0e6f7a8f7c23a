// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import Placement

/// What the coordinator in office reads and writes to have surplus copies dropped: everything that changes something under
/// its term.
extension Catalog {
    /// Instances of a set whose copy on `node` is surplus and may be tried now, behind `after`; at most `limit`.
    public func surplusRecords(
        placement: Int32,
        group: PlacementGroup,
        node: NodeID,
        after: RecordID?,
        limit: Int
    ) async throws(CatalogError) -> [SurplusRecord] {
        let prefix = UInt64(group.rawValue) << 48
        guard let first = RecordID(high: prefix, low: 0), let last = RecordID(high: prefix | ~0 >> 16, low: .max) else {
            return []
        }
        let values: [PostgresValue] = [
            .int4(placement), .record(after ?? first), .record(last), .node(node), .int4(Int32(clamping: limit)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.surplusRecords, values, deadline: deadline).rows.compactMap { row in
                row.recordID(0).map {
                    SurplusRecord(record: $0, byteCount: Int64(row.int(1) ?? 0), attemptCount: row.int(2) ?? 0)
                }
            }
        }
    }

    /// Counts the copies on `node` no more, whose instances go from one set of nodes to the same without it; says of which
    /// instances that is so now.
    ///
    /// Nobody may tell a node to drop a copy before. After `.outcomeUnknown` what was ordered is among ``unconfirmedDrops``.
    public func beginDrops(
        _ records: [RecordID],
        on node: NodeID,
        from placement: Int32,
        to newPlacement: Int32,
        term: Term
    ) async throws(CatalogError) -> [RecordID] {
        let values: [PostgresValue] = [
            .term(term), .records(records), .int4(placement), .int4(newPlacement), .node(node),
        ]
        // Not repeated by itself: the second time nothing would be left to be moved.
        return try await perform(.once) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.beginDrops, values, deadline: deadline).rows.compactMap { $0.recordID(0) }
        }
    }

    /// Notes that `node` has confirmed that copies are gone.
    public func finishDrops(_ records: [RecordID], on node: NodeID, term: Term) async throws(CatalogError) {
        try await change(Self.finishDrops, [.term(term), .records(records), .node(node)])
    }

    /// What was ordered of any of `nodes` and not confirmed; at most `limit`.
    public func unconfirmedDrops(
        of nodes: [NodeID],
        limit: Int,
        term: Term
    ) async throws(CatalogError) -> [UnconfirmedDrop] {
        let values: [PostgresValue] = [.term(term), .nodes(nodes), .int4(Int32(clamping: limit))]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.unconfirmedDrops, values, deadline: deadline).rows.compactMap { row in
                guard let record = row.recordID(0), let node = row.nodeID(1),
                    let placement = row.int(3).flatMap({ Int32(exactly: $0) })
                else { return nil }
                return UnconfirmedDrop(
                    record: record,
                    node: node,
                    attemptCount: row.int(2) ?? 0,
                    placement: placement,
                    nodes: row.nodeIDs(4)
                )
            }
        }
    }

    /// Counts copies on `node` again that turned out to be there, and were not confirmed to be gone.
    public func restoreDrops(
        _ restored: [CountedRepair],
        on node: NodeID,
        term: Term
    ) async throws(CatalogError) {
        let values: [PostgresValue] = [
            .term(term), .records(restored.map(\.record)), .int8s(restored.map { Int64($0.placement) }),
            .int8s(restored.map { Int64($0.newPlacement) }), .node(node),
        ]
        try await change(Self.restoreDrops, values)
    }

    /// Puts off what could not be done on `node`.
    public func postponeDrops(_ drops: [PostponedRepair], on node: NodeID, term: Term) async throws(CatalogError) {
        let values: [PostgresValue] = [
            .term(term), .records(drops.map(\.record)), .node(node),
            .int8s(drops.map { drop in drop.pause.map { TimeAmount($0).nanoseconds / 1_000_000 } ?? -1 }),
            .int8s(drops.map { Int64($0.attemptCount) }), .texts(drops.map { StoredText.clean($0.note) }),
        ]
        try await change(Self.postponeDrops, values)
    }

    private func change(_ statement: PreparedStatement, _ values: [PostgresValue]) async throws(CatalogError) {
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(statement, values, deadline: deadline).rowCount
        }
    }
}

extension Catalog {
    private static let surplusRecords = PreparedStatement(
        "surplus_records",
        "SELECT found_record, found_bytes, found_attempts FROM surplus_records($1, $2, $3, $4, $5)"
    )

    private static let beginDrops = PreparedStatement("begin_drops", "SELECT begin_drops($1, $2, $3, $4, $5)")

    private static let finishDrops = PreparedStatement("finish_drops", "SELECT finish_drops($1, $2, $3)")

    private static let unconfirmedDrops = PreparedStatement(
        "unconfirmed_drops",
        """
        SELECT found_record, found_node, found_attempts, found_placement, found_nodes
        FROM unconfirmed_drops($1, $2, $3)
        """
    )

    private static let restoreDrops = PreparedStatement(
        "restore_drops",
        "SELECT restore_drops($1, $2, $3, $4, $5)"
    )

    private static let postponeDrops = PreparedStatement(
        "postpone_drops",
        "SELECT postpone_drops($1, $2, $3, $4, $5, $6)"
    )
}
