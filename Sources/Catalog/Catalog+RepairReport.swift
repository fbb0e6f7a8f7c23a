// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import Placement

/// What operators see of repair; read from what the coordinator in office writes down, never by counting instances.
extension Catalog {
    /// How repair stands.
    public func repairOverview() async throws(CatalogError) -> RepairOverview {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            guard let totals = try connection.query(Self.repairTotals, [], deadline: deadline).first else {
                throw PostgresFailure(kind: .unexpected, message: "the catalog has no totals of repair")
            }
            let backlog = try connection.query(Self.backlogByKind, [], deadline: deadline).rows.map { row in
                RepairOverview.Difference(
                    kind: row.int(0) ?? 0,
                    livingCount: row.int(1) ?? 0,
                    isShort: row.bool(2),
                    obstacle: row.int(3) ?? 0,
                    amount: RepairAmount(row: row, from: 4)
                )
            }
            let queue = try connection.query(Self.queueByState, [], deadline: deadline).rows.map { row in
                RepairOverview.Queued(kind: row.int(0) ?? 0, state: row.int(1) ?? 0, count: row.int(2) ?? 0)
            }
            return RepairOverview(
                copies: totals.int(0) ?? 0,
                madeCount: totals.int(1) ?? 0,
                madeByteCount: Int64(totals.int(2) ?? 0),
                itemsPerSecond: Double(totals.text(3)) ?? 0,
                bytesPerSecond: Double(totals.text(4)) ?? 0,
                rateIsRecent: totals.bool(5),
                surveyedAtMilliseconds: totals.int(6).map(Int64.init),
                alarm: totals.text(7),
                differences: backlog,
                queue: queue,
                droppedCount: totals.int(8) ?? 0,
                droppedByteCount: Int64(totals.int(9) ?? 0)
            )
        }
    }

    /// What is on its way to each node, and what has to be copied elsewhere before each can do without.
    public func repairByNode() async throws(CatalogError) -> [NodeID: (arriving: RepairAmount, leaving: RepairAmount)] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            var found: [NodeID: (arriving: RepairAmount, leaving: RepairAmount)] = [:]
            for row in try connection.query(Self.backlogByNode, [], deadline: deadline).rows {
                guard let node = row.nodeID(0) else { continue }
                var amounts = found[node] ?? (RepairAmount(), RepairAmount())
                if row.bool(1) {
                    amounts.arriving = RepairAmount(row: row, from: 2)
                } else {
                    amounts.leaving = RepairAmount(row: row, from: 2)
                }
                found[node] = amounts
            }
            return found
        }
    }

    /// Copies that a person has to look at, those first that have waited longest; at most `limit`.
    public func stuckRepairs(limit: Int) async throws(CatalogError) -> [StuckRepair] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.stuckRepairs, [.int4(Int32(clamping: limit))], deadline: deadline).rows
                .compactMap { row in
                    guard let record = row.recordID(0) else { return nil }
                    return StuckRepair(
                        record: record,
                        sopInstanceUID: row.text(1),
                        studyInstanceUID: row.text(2),
                        attemptCount: row.int(3) ?? 0,
                        note: row.text(4)
                    )
                }
        }
    }

    /// Has all copies that a person had to look at tried again; how many.
    public func retryStuckRepairs() async throws(CatalogError) -> Int {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.retryStuckRepairs, [], deadline: deadline).rowCount
        }
    }
}

extension Catalog {
    private static let repairTotals = PreparedStatement(
        "repair_totals",
        """
        SELECT copies, item_count, byte_count, items_per_second::text, bytes_per_second::text,
            coalesce(rated_at > now() - interval '90 seconds', false),
            (extract(epoch FROM surveyed_at) * 1000)::int8, alarm, dropped_count, dropped_bytes
        FROM repair_totals
        """
    )

    private static let backlogByKind = PreparedStatement(
        "repair_backlog_by_kind",
        """
        SELECT kind, living, is_short, obstacle, coalesce(sum(instances), 0)::int8, coalesce(sum(bytes), 0)::int8,
            count(*) FILTER (WHERE instances IS NULL)
        FROM repair_backlog GROUP BY 1, 2, 3, 4 ORDER BY 2, 1, 4
        """
    )

    private static let queueByState = PreparedStatement(
        "repair_queue_by_state",
        """
        SELECT kind, state, count(*) FROM repair_items GROUP BY 1, 2
        UNION ALL SELECT 4, state, count(*) FROM surplus_drops GROUP BY 1, 2 ORDER BY 1, 2
        """
    )

    private static let backlogByNode = PreparedStatement(
        "repair_backlog_by_node",
        """
        SELECT n.node, n.is_target, coalesce(sum(n.instances), 0)::int8, coalesce(sum(n.bytes), 0)::int8,
            count(*) FILTER (WHERE n.instances IS NULL)
        FROM (
            SELECT b.target AS node, true AS is_target, b.instances, b.bytes FROM repair_backlog b
            WHERE b.target IS NOT NULL
            UNION ALL
            SELECT x.node, false, b.instances, b.bytes FROM repair_backlog b
                JOIN placements p ON p.id = b.placement CROSS JOIN LATERAL unnest(p.node_ids) x(node)
            WHERE b.kind < 4
        ) n GROUP BY 1, 2
        """
    )

    private static let stuckRepairs = PreparedStatement(
        "stuck_repairs",
        """
        SELECT q.record, i.uid, t.uid, q.attempts, q.note
        FROM (
            SELECT record, state, attempts, note, entered_at FROM repair_items
            UNION ALL SELECT record, state, attempts, note, entered_at FROM surplus_drops
        ) q LEFT JOIN instances i ON i.record = q.record
            LEFT JOIN series e ON e.id = i.series LEFT JOIN studies t ON t.id = e.study
        WHERE q.state = 3 ORDER BY q.entered_at, q.record LIMIT $1::int4
        """
    )

    private static let retryStuckRepairs = PreparedStatement(
        "retry_stuck_repairs",
        """
        WITH dropped AS (
            UPDATE surplus_drops SET state = 1, attempts = 0, due_at = now() WHERE state = 3 RETURNING record
        ), copied AS (
            UPDATE repair_items SET state = 1, attempts = 0, due_at = now() WHERE state = 3 RETURNING record
        )
        SELECT record FROM dropped UNION ALL SELECT record FROM copied
        """
    )
}

extension RepairAmount {
    fileprivate init(row: PostgresResult.Row, from start: Int) {
        self.init(
            instanceCount: row.int(start) ?? 0,
            byteCount: Int64(row.int(start + 1) ?? 0),
            uncountedCount: row.int(start + 2) ?? 0
        )
    }
}
