// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import Placement

/// What is read and written to compare the catalog with the nodes; what changes instances does so under a coordinator's term.
///
/// All of it may be repeated, by the same or another coordinator.
extension Catalog {
    /// The records of a range of ids behind `after`, ascending, and where their copies are counted; at most `limit`.
    public func namedCopies(
        in range: ClosedRange<RecordID>,
        after: RecordID?,
        limit: Int
    ) async throws(CatalogError) -> [NamedCopies] {
        // The lower bound has been seen, but for the very first of a group.
        let values: [PostgresValue] = [
            .record(after ?? range.lowerBound), .record(range.upperBound), .bool(after == nil),
            .int4(Int32(clamping: limit)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.namedCopies, values, deadline: deadline).rows.map {
                row throws(PostgresFailure) in
                guard let record = row.recordID(0) else {
                    throw PostgresFailure(kind: .unexpected, message: "a record id cannot be read")
                }
                return NamedCopies(record: record, nodes: row.nodeIDs(1))
            }
        }
    }

    /// How many of these records no instance is entered with: in the trash, and nowhere.
    public func explain(_ records: [RecordID]) async throws(CatalogError) -> (trashed: Int, orphans: Int) {
        guard !records.isEmpty else { return (0, 0) }
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let row = try connection.query(Self.explainRecords, [.records(records)], deadline: deadline).first
            return (row?.int(0) ?? 0, row?.int(1) ?? 0)
        }
    }

    /// Where the comparison goes on.
    public func comparisonPosition() async throws(CatalogError) -> ComparisonPosition {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            guard let row = try connection.query(Self.comparisonPosition, [], deadline: deadline).first else {
                throw PostgresFailure(kind: .unexpected, message: "the catalog does not know of a comparison")
            }
            return ComparisonPosition(
                group: row.int(0).flatMap { UInt16(exactly: $0) }.flatMap { PlacementGroup(rawValue: $0) },
                age: row.int(1).map { .milliseconds(max(0, $0)) }
            )
        }
    }

    /// Notes that a group has been compared, and what was counted.
    public func noteComparison(
        of group: PlacementGroup,
        _ counts: ComparisonCounts,
        term: Term
    ) async throws(CatalogError) {
        let values: [PostgresValue] = [
            .term(term), .int4(Int32(group.rawValue)), .int4(Int32(PlacementGroup.count)), .int8s(counts.values),
        ]
        try await call(Self.noteComparison, values)
    }

    /// Notes copies that nodes did not list, for the coordinator in office to look at; as far as the catalog names them still.
    public func reportMissing(_ copies: [(record: RecordID, node: NodeID)]) async throws(CatalogError) {
        guard !copies.isEmpty else { return }
        try await call(Self.reportMissing, [.records(copies.map(\.record)), .nodes(copies.map(\.node))])
    }

    /// Missing copies on any of `nodes` that are due; at most `limit`.
    public func missingCopies(
        on nodes: [NodeID],
        limit: Int,
        term: Term
    ) async throws(CatalogError) -> [MissingCopy] {
        let values: [PostgresValue] = [.term(term), .nodes(nodes), .int4(Int32(clamping: limit))]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.missingDue, values, deadline: deadline).rows.compactMap { row in
                guard let record = row.recordID(0), let node = row.nodeID(1) else { return nil }
                return MissingCopy(
                    record: record,
                    node: node,
                    attemptCount: row.int(2) ?? 0,
                    byteCount: Int64(row.int(3) ?? 0),
                    placement: row.int(4).flatMap { Int32(exactly: $0) },
                    nodes: row.nodeIDs(5),
                    sopInstanceUID: row.text(6)
                )
            }
        }
    }

    /// Forgets a report: the copy is there, or is not named any more.
    public func settleMissing(_ copy: MissingCopy, term: Term) async throws(CatalogError) {
        try await call(Self.settleMissing, [.term(term), .record(copy.record), .node(copy.node)])
    }

    /// Counts a missing copy no more: its instance goes from its set of nodes to `newPlacement`, the same without the node.
    ///
    /// That may not be empty. False when the instance is not in the former set any more.
    public func uncount(
        _ copy: MissingCopy,
        from placement: Int32,
        to newPlacement: Int32,
        note: String,
        term: Term
    ) async throws(CatalogError) -> Bool {
        let values: [PostgresValue] = [
            .term(term), .record(copy.record), .node(copy.node), .int4(placement), .int4(newPlacement),
            .text(StoredText.clean(note)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.uncountMissing, values, deadline: deadline).first?.bool(0) ?? false
        }
    }

    /// Counts a copy that was read whole on `node`: its instance goes from a set of nodes to `newPlacement`, the same with it.
    ///
    /// False when the instance is not in the former set any more, or the node may be dropping it.
    public func recount(
        _ record: RecordID,
        on node: NodeID,
        from placement: Int32,
        to newPlacement: Int32,
        term: Term
    ) async throws(CatalogError) -> Bool {
        let values: [PostgresValue] = [
            .term(term), .record(record), .node(node), .int4(placement), .int4(newPlacement),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.recountCopy, values, deadline: deadline).first?.bool(0) ?? false
        }
    }

    /// Puts off what could not be judged; `isLost`: no good copy is known anywhere.
    public func postponeMissing(
        _ copy: MissingCopy,
        isLost: Bool,
        pause: Duration,
        note: String,
        term: Term
    ) async throws(CatalogError) {
        let values: [PostgresValue] = [
            .term(term), .record(copy.record), .node(copy.node), .bool(isLost),
            .int8(max(0, pause.components.seconds)), .text(StoredText.clean(note)),
        ]
        try await call(Self.postponeMissing, values)
    }

    /// How the comparison stands; at most `limit` lost instances.
    public func comparisonOverview(limit: Int = 20) async throws(CatalogError) -> ComparisonOverview {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            guard let row = try connection.query(Self.comparisonOverview, [], deadline: deadline).first else {
                throw PostgresFailure(kind: .unexpected, message: "the catalog does not know of a comparison")
            }
            let lost = try connection.query(
                Self.lostInstances,
                [.int4(Int32(clamping: limit))],
                deadline: deadline
            ).rows.compactMap { row in
                row.recordID(0).map {
                    LostInstance(
                        record: $0,
                        sopInstanceUID: row.text(1),
                        studyInstanceUID: row.text(2),
                        note: row.text(3)
                    )
                }
            }
            return ComparisonOverview(
                groupCount: row.int(0) ?? 0,
                startedAtMilliseconds: row.int(1).map(Int64.init),
                lastStartedAtMilliseconds: row.int(2).map(Int64.init),
                lastFinishedAtMilliseconds: row.int(3).map(Int64.init),
                counts: ComparisonCounts(values: row.ints(4)),
                lastCounts: ComparisonCounts(values: row.ints(5)),
                totalCounts: ComparisonCounts(values: row.ints(6)),
                uncountedTotal: row.int(7) ?? 0,
                recountedTotal: row.int(8) ?? 0,
                waitingCount: row.int(9) ?? 0,
                lostCount: row.int(10) ?? 0,
                lost: lost
            )
        }
    }

    private func call(_ statement: PreparedStatement, _ values: [PostgresValue]) async throws(CatalogError) {
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(statement, values, deadline: deadline).rowCount
        }
    }
}

extension Catalog {
    private static let namedCopies = PreparedStatement(
        "named_copies",
        """
        SELECT i.record, p.node_ids FROM instances i JOIN placements p ON p.id = i.placement
        WHERE i.record >= $1::uuid AND i.record <= $2::uuid AND ($3::bool OR i.record > $1::uuid)
        ORDER BY i.record LIMIT $4::int4
        """
    )

    private static let explainRecords = PreparedStatement(
        "explain_records",
        """
        SELECT count(*) FILTER (WHERE x.is_trashed), count(*) FILTER (WHERE NOT x.is_trashed)
        FROM (
            SELECT EXISTS (SELECT FROM trashed_instances t WHERE t.record = r.record) AS is_trashed
            FROM unnest($1::uuid[]) r(record)
            WHERE NOT EXISTS (SELECT FROM instances i WHERE i.record = r.record)
        ) x
        """
    )

    private static let comparisonPosition = PreparedStatement(
        "comparison_position",
        "SELECT next_group, (extract(epoch FROM now() - stepped_at) * 1000)::int8 FROM comparison"
    )

    private static let noteComparison = PreparedStatement(
        "note_comparison",
        "SELECT note_comparison($1, $2, $3, $4)"
    )

    private static let reportMissing = PreparedStatement(
        "report_missing_copies",
        "SELECT report_missing_copies($1, $2)"
    )

    private static let missingDue = PreparedStatement(
        "missing_copies_due",
        """
        SELECT found_record, found_node, found_attempts, found_bytes, found_placement, found_nodes, found_uid
        FROM missing_copies_due($1, $2, $3)
        """
    )

    private static let settleMissing = PreparedStatement(
        "settle_missing_copy",
        "SELECT settle_missing_copy($1, $2, $3)"
    )

    private static let uncountMissing = PreparedStatement(
        "uncount_missing_copy",
        "SELECT uncount_missing_copy($1, $2, $3, $4, $5, $6)"
    )

    private static let recountCopy = PreparedStatement("recount_copy", "SELECT recount_copy($1, $2, $3, $4, $5)")

    private static let postponeMissing = PreparedStatement(
        "postpone_missing_copy",
        "SELECT postpone_missing_copy($1, $2, $3, $4, $5, $6)"
    )

    private static let comparisonOverview = PreparedStatement(
        "comparison_overview",
        """
        SELECT next_group, (extract(epoch FROM started_at) * 1000)::int8,
            (extract(epoch FROM last_started_at) * 1000)::int8, (extract(epoch FROM last_finished_at) * 1000)::int8,
            counts, last_counts, total_counts, uncounted_total, recounted_total,
            (SELECT count(*) FROM missing_copies WHERE state = 1),
            (SELECT count(DISTINCT m.record) FROM missing_copies m JOIN instances i ON i.record = m.record WHERE m.state = 3)
        FROM comparison
        """
    )

    private static let lostInstances = PreparedStatement(
        "lost_instances",
        """
        SELECT DISTINCT ON (m.record) m.record, i.uid, t.uid, m.note
        FROM missing_copies m JOIN instances i ON i.record = m.record
            LEFT JOIN series e ON e.id = i.series LEFT JOIN studies t ON t.id = e.study
        WHERE m.state = 3 ORDER BY m.record LIMIT $1::int4
        """
    )
}
