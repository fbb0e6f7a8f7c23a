// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import Placement

/// What the coordinator in office reads and writes to have copies made: everything that changes something under its term.
///
/// All of it may be repeated, by the same or another coordinator.
extension Catalog {
    /// Which placement groups have instances with which sets of nodes; by placement and group.
    ///
    /// What is in cold packs only is left out: nothing is wanted of it.
    ///
    /// Goes from group to group in an index, however many instances there are.
    public func placedGroups() async throws(CatalogError) -> [PlacedGroup] {
        var found: [PlacedGroup] = []
        var after: (placement: Int32, group: Int32) = (0, -1)
        while true {
            let start = [PostgresValue.int4(after.placement), .int4(after.group), .int4(Int32(Self.groupsAtOnce))]
            let page = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
                try connection.query(Self.placedGroups, start, deadline: deadline).rows.map {
                    row throws(PostgresFailure) in
                    guard let placed = PlacedGroup(row: row) else {
                        throw PostgresFailure(kind: .unexpected, message: "the group of a record cannot be read")
                    }
                    return placed
                }
            }
            found += page.filter { !$0.nodes.isEmpty }
            guard let last = page.last, page.count == Self.groupsAtOnce else { return found }
            after = (last.placement, Int32(last.group.rawValue))
        }
    }

    private static let groupsAtOnce = 2048

    /// Notes what a survey found, in place of what the one before did.
    public func replaceRepairBacklog(
        _ differences: [RepairDifference],
        copies: Int,
        term: Term
    ) async throws(CatalogError) {
        let values: [PostgresValue] = [
            .term(term), .int4(Int32(clamping: copies)), .int8s(differences.map { Int64($0.placement) }),
            .int8s(differences.map { Int64($0.group.rawValue) }), .int8s(differences.map { Int64($0.kind) }),
            .int8s(differences.map { Int64($0.livingCount) }), .int8s(differences.map { $0.isShort ? 1 : 0 }),
            .int8s(differences.map { Int64($0.obstacle) }),
            .texts(differences.map { difference in difference.target.map { "\($0)" } ?? "" }),
        ]
        try await change(Self.replaceBacklog, values)
    }

    /// Counts the instances of some sets of the backlog that have not been counted; how many sets are left.
    public func countRepairBacklog(limit: Int, term: Term) async throws(CatalogError) -> Int {
        let values: [PostgresValue] = [.term(term), .int4(Int32(clamping: limit))]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.countBacklog, values, deadline: deadline).first?.int(0) ?? 0
        }
    }

    /// Enters records of a set into the queue, at most `limit` of those behind `after`.
    ///
    /// None when the queue has `waitingLimit` of that urgency.
    public func enqueueRepairs(
        of difference: RepairDifference,
        after: RecordID?,
        limit: Int,
        waitingLimit: Int,
        term: Term
    ) async throws(CatalogError) -> EnqueuedRepairs {
        let prefix = UInt64(difference.group.rawValue) << 48
        guard let first = RecordID(high: prefix, low: 0), let last = RecordID(high: prefix | ~0 >> 16, low: .max) else {
            return .upTo(nil, count: 0)
        }
        let values: [PostgresValue] = [
            .term(term), .int4(difference.placement), .record(after ?? first), .record(last),
            .int4(Int32(difference.kind)), .int4(Int32(clamping: difference.livingCount)),
            .int4(Int32(clamping: limit)), .int4(Int32(clamping: waitingLimit)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            guard let row = try connection.query(Self.enqueueRepairs, values, deadline: deadline).first else {
                throw PostgresFailure(kind: .unexpected, message: "the repair queue gave no answer")
            }
            let count = row.int(0) ?? 0
            return count < 0 ? .full : .upTo(row.recordID(1), count: count)
        }
    }

    /// Takes up what is due, the most urgent first, and not in `held`; at most `limit`.
    public func claimRepairs(
        term: Term,
        limit: Int,
        held: [RecordID]
    ) async throws(CatalogError) -> [RepairItem] {
        let values: [PostgresValue] = [.term(term), .int4(Int32(clamping: limit)), .records(held)]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.claimRepairs, values, deadline: deadline).rows.map {
                row throws(PostgresFailure) in
                guard let item = RepairItem(row: row) else {
                    throw PostgresFailure(kind: .unexpected, message: "an item of the repair queue cannot be read")
                }
                return item
            }
        }
    }

    /// Counts copies that have been made, and takes them from the queue; how many were counted.
    ///
    /// An instance that was deleted meanwhile, or whose copies are elsewhere now, is left as it is.
    public func countRepairs(_ repairs: [CountedRepair], term: Term) async throws(CatalogError) -> Int {
        let values: [PostgresValue] = [
            .term(term), .records(repairs.map(\.record)), .int8s(repairs.map { Int64($0.placement) }),
            .int8s(repairs.map { Int64($0.newPlacement) }),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.countRepairs, values, deadline: deadline).first?.int(0) ?? 0
        }
    }

    /// Takes what need not be done any more from the queue.
    public func dropRepairs(_ records: [RecordID], term: Term) async throws(CatalogError) {
        try await change(Self.dropRepairs, [.term(term), .records(records)])
    }

    /// Puts off what could not be done.
    public func postponeRepairs(_ repairs: [PostponedRepair], term: Term) async throws(CatalogError) {
        let values: [PostgresValue] = [
            .term(term), .records(repairs.map(\.record)),
            .int8s(repairs.map { repair in repair.pause.map { TimeAmount($0).nanoseconds / 1_000_000 } ?? -1 }),
            .int8s(repairs.map { Int64($0.attemptCount) }), .texts(repairs.map { StoredText.clean($0.note) }),
        ]
        try await change(Self.postponeRepairs, values)
    }

    /// Notes how fast copies are made, each a second, and what operators have to know.
    public func noteRepairRate(
        items: Double,
        bytes: Double,
        alarm: String,
        term: Term
    ) async throws(CatalogError) {
        let values: [PostgresValue] = [
            .term(term), .text("\(items)"), .text("\(bytes)"), .text(StoredText.clean(alarm)),
        ]
        try await change(Self.noteRate, values)
    }

    /// The number of a set of nodes, which is given one if it has none.
    public func placementNumber(of nodes: [NodeID]) async throws(CatalogError) -> Int32 {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let result = try connection.query(Statements.internPlacement, [.nodes(nodes)], deadline: deadline)
            guard let number = result.first?.int(0).flatMap({ Int32(exactly: $0) }) else {
                throw PostgresFailure(kind: .unexpected, message: "Postgres did not number a placement")
            }
            return number
        }
    }

    private func change(_ statement: PreparedStatement, _ values: [PostgresValue]) async throws(CatalogError) {
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(statement, values, deadline: deadline).rowCount
        }
    }
}

extension Catalog {
    /// From one group to the next in the index, instead of through all rows.
    ///
    /// Compared as pairs, so that only one index will do.
    private static let placedGroups = PreparedStatement(
        "placed_groups",
        """
        WITH RECURSIVE seen AS (
            (
                SELECT i.placement, placement_group_of(i.record) AS g, 1 AS number FROM instances i
                WHERE (i.placement, placement_group_of(i.record)) > ($1::int4, $2::int4)
                ORDER BY i.placement, placement_group_of(i.record) LIMIT 1
            )
            UNION ALL
            SELECT n.placement, n.g, s.number + 1 FROM seen s CROSS JOIN LATERAL (
                SELECT i.placement, placement_group_of(i.record) AS g FROM instances i
                WHERE (i.placement, placement_group_of(i.record)) > (s.placement, s.g)
                ORDER BY i.placement, placement_group_of(i.record) LIMIT 1
            ) n
            WHERE s.number < $3::int4
        )
        SELECT s.placement, s.g, p.node_ids FROM seen s JOIN placements p ON p.id = s.placement
        ORDER BY s.placement, s.g
        """
    )

    private static let replaceBacklog = PreparedStatement(
        "replace_repair_backlog",
        "SELECT replace_repair_backlog($1, $2, $3, $4, $5, $6, $7, $8, $9)"
    )

    private static let countBacklog = PreparedStatement(
        "count_repair_backlog",
        "SELECT count_repair_backlog($1, $2)"
    )

    private static let enqueueRepairs = PreparedStatement(
        "enqueue_repairs",
        "SELECT looked_at, last_record FROM enqueue_repairs($1, $2, $3, $4, $5, $6, $7, $8)"
    )

    private static let claimRepairs = PreparedStatement(
        "claim_repairs",
        """
        SELECT item_record, item_kind, item_living, item_bytes, item_attempts, current_placement, current_nodes
        FROM claim_repairs($1, $2, $3)
        """
    )

    private static let countRepairs = PreparedStatement("count_repairs", "SELECT count_repairs($1, $2, $3, $4)")

    private static let dropRepairs = PreparedStatement("drop_repairs", "SELECT drop_repairs($1, $2)")

    private static let postponeRepairs = PreparedStatement(
        "postpone_repairs",
        "SELECT postpone_repairs($1, $2, $3, $4, $5)"
    )

    private static let noteRate = PreparedStatement(
        "note_repair_rate",
        "SELECT note_repair_rate($1, $2::text::float8, $3::text::float8, $4)"
    )
}

extension PlacedGroup {
    fileprivate init?(row: PostgresResult.Row) {
        guard let placement = row.int(0).flatMap({ Int32(exactly: $0) }),
            let group = row.int(1).flatMap({ UInt16(exactly: $0) }).flatMap({ PlacementGroup(rawValue: $0) })
        else { return nil }
        self.init(placement: placement, nodes: row.nodeIDs(2), group: group)
    }
}

extension RepairItem {
    fileprivate init?(row: PostgresResult.Row) {
        guard let record = row.recordID(0), let kind = row.int(1).flatMap({ UInt8(exactly: $0) }) else { return nil }
        self.init(
            record: record,
            kind: kind,
            livingCount: row.int(2) ?? 0,
            byteCount: Int64(row.int(3) ?? 0),
            attemptCount: row.int(4) ?? 0,
            placement: row.int(5).flatMap { Int32(exactly: $0) },
            nodes: row.nodeIDs(6)
        )
    }
}
