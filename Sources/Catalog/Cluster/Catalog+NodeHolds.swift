// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import Placement

/// What the coordinator in office reads of holds that storage nodes are to know, and notes: everything under its term.
extension Catalog {
    /// Brings what is wanted up to date with the holds in force; `looksBack`: also for members that are new.
    public func refreshNodeHolds(
        term: Term,
        members: [NodeID],
        looksBack: Bool,
        issuedAtMilliseconds: Int64
    ) async throws(CatalogError) {
        let parameters: [PostgresValue] = [
            .term(term), .nodes(members), .bool(looksBack), .int8(issuedAtMilliseconds),
        ]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(NodeHoldStatements.refresh, parameters, deadline: deadline).rowCount
        }
    }

    /// The orders that one of `answering` has not carried out, those that came first first; at most `limit`.
    public func openNodeHolds(
        term: Term,
        answering: [NodeID],
        limit: Int
    ) async throws(CatalogError) -> [NodeHold] {
        let parameters: [PostgresValue] = [.term(term), .nodes(answering), .int4(Int32(clamping: limit))]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(NodeHoldStatements.open, parameters, deadline: deadline).rows.map {
                row throws(PostgresFailure) in
                guard let hold = NodeHold(row: row, from: 0) else { throw NodeHoldStatements.unreadable }
                return hold
            }
        }
    }

    /// The records of a study, also those in the trash, after one of them, ascending; at most `limit`.
    public func records(
        ofHeldStudy study: String,
        after: RecordID?,
        limit: Int
    ) async throws(CatalogError) -> [RecordID] {
        let parameters: [PostgresValue] = [
            .text(study), .text(after.map { "\($0)" } ?? "00000000-0000-0000-0000-000000000000"),
            .int4(Int32(clamping: limit)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(NodeHoldStatements.records, parameters, deadline: deadline).rows.map {
                row throws(PostgresFailure) in
                guard let id = row.recordID(0) else { throw NodeHoldStatements.unreadable }
                return id
            }
        }
    }

    /// Notes that nodes have carried an order out completely; true when all of `members` have.
    public func noteHoldAnswers(
        order number: Int64,
        nodes: [NodeID],
        members: [NodeID],
        term: Term
    ) async throws(CatalogError) -> Bool {
        let parameters: [PostgresValue] = [.term(term), .int8(number), .nodes(nodes), .nodes(members)]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(NodeHoldStatements.answer, parameters, deadline: deadline).first?.bool(0) ?? false
        }
    }

    /// Records that came into held studies, the oldest first; at most `limit`.
    public func holdArrivals(limit: Int) async throws(CatalogError) -> [HoldArrival] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            var arrivals: [HoldArrival] = []
            let limit = [PostgresValue.int4(Int32(clamping: limit))]
            for row in try connection.query(NodeHoldStatements.arrivals, limit, deadline: deadline).rows {
                guard let id = row.int(0), let record = row.recordID(1) else { throw NodeHoldStatements.unreadable }
                if arrivals.last?.id != Int64(id) {
                    arrivals.append(HoldArrival(id: Int64(id), record: record, holds: []))
                }
                if let hold = NodeHold(row: row, from: 2) { arrivals[arrivals.count - 1].holds.append(hold) }
            }
            return arrivals
        }
    }

    /// Forgets arrivals of which the nodes in `told` know now; the other members are told of their studies again.
    public func finishHoldArrivals(
        _ arrivals: [HoldArrival],
        told: [NodeID],
        members: [NodeID],
        term: Term
    ) async throws(CatalogError) {
        let parameters: [PostgresValue] = [
            .term(term), .int8s(arrivals.map(\.id)), .nodes(told), .nodes(members),
        ]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(NodeHoldStatements.finishArrivals, parameters, deadline: deadline).rowCount
        }
    }
}

private enum NodeHoldStatements {
    static var unreadable: PostgresFailure {
        PostgresFailure(kind: .unexpected, message: "a hold that storage nodes are to know cannot be read")
    }

    private static let columns = """
        n.study_uid, n.is_held, n.number, n.term, n.issued_at, h.reference, n.hold, h.name, h.reason, n.answered
        """

    static let refresh = PreparedStatement("refresh_node_holds", "SELECT refresh_node_holds($1, $2, $3, $4)")

    static let open = PreparedStatement(
        "open_node_holds",
        "SELECT \(columns) FROM open_node_holds($1, $2, $3) n JOIN holds h ON h.id = n.hold ORDER BY n.number"
    )

    static let records = PreparedStatement(
        "records_of_held_study",
        """
        SELECT x.record FROM (
            SELECT i.record FROM studies t JOIN series e ON e.study = t.id JOIN instances i ON i.series = e.id
            WHERE t.uid = $1::text
            UNION
            SELECT y.record FROM deletions d JOIN trashed_instances y ON y.deletion = d.id WHERE d.study_uid = $1::text
        ) x WHERE x.record > $2::text::uuid ORDER BY x.record LIMIT $3::int4
        """
    )

    static let answer = PreparedStatement("note_hold_answers", "SELECT note_hold_answers($1, $2, $3, $4)")

    static let arrivals = PreparedStatement(
        "hold_arrivals",
        """
        SELECT a.id, a.record, \(columns)
        FROM (SELECT * FROM hold_arrivals ORDER BY id LIMIT $1::int4) a
            LEFT JOIN (node_holds n JOIN holds h ON h.id = n.hold)
                ON n.study_uid = a.study_uid AND n.is_held AND n.term IS NOT NULL
        ORDER BY a.id, n.number
        """
    )

    static let finishArrivals = PreparedStatement(
        "finish_hold_arrivals",
        "SELECT finish_hold_arrivals($1, $2, $3, $4)"
    )
}

extension NodeHold {
    fileprivate init?(row: PostgresResult.Row, from start: Int) {
        guard let number = row.int(start + 2), let term = row.int(start + 3), let reference = row.nodeID(start + 5),
            let hold = row.int(start + 6)
        else { return nil }
        self.init(
            study: row.text(start),
            isHeld: row.bool(start + 1),
            number: Int64(number),
            term: Term(rawValue: UInt64(max(0, term))),
            issuedAtMilliseconds: Int64(row.int(start + 4) ?? 0),
            referenceHigh: reference.high,
            referenceLow: reference.low,
            hold: Int64(hold),
            name: row.text(start + 7),
            reason: row.text(start + 8),
            answered: Set(row.nodeIDs(start + 9))
        )
    }
}
