// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import Placement

/// What the coordinator in office reads of the trash, and notes: everything under its term.
extension Catalog {
    /// The orders that some of `members` has not carried out, those that came first first; at most `limit`.
    ///
    /// One that nobody has taken up yet gets this term, for good. `looksBack`: also those that all members of then had
    /// carried out, because the members have changed. Throws `.staleTerm` when `term` is over.
    public func openTrashOrders(
        term: Term,
        members: [NodeID],
        looksBack: Bool,
        limit: Int
    ) async throws(CatalogError) -> [TrashOrder] {
        let parameters: [PostgresValue] = [
            .term(term), .nodes(members), .bool(looksBack), .int4(Int32(clamping: limit)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.openTrashOrders, parameters, deadline: deadline).rows.map {
                row throws(PostgresFailure) in
                guard let order = TrashOrder(row: row) else {
                    throw PostgresFailure(kind: .unexpected, message: "an order of the trash cannot be read")
                }
                return order
            }
        }
    }

    /// The records of a deletion after one of them, ascending; at most `limit`.
    public func records(
        ofDeletion deletion: Int64,
        after: RecordID?,
        limit: Int
    ) async throws(CatalogError) -> [RecordID] {
        let parameters: [PostgresValue] = [
            .int8(deletion), .text(after.map { "\($0)" } ?? "00000000-0000-0000-0000-000000000000"),
            .int4(Int32(clamping: limit)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.recordsOfDeletion, parameters, deadline: deadline).rows.map {
                row throws(PostgresFailure) in
                guard let id = row.recordID(0) else {
                    throw PostgresFailure(kind: .unexpected, message: "a record id cannot be read")
                }
                return id
            }
        }
    }

    /// Notes that a node has carried out an order completely; true when it was the last of `members`, and the order is
    /// done: of an undelete, when its instances are back, too.
    public func noteTrashAnswer(
        order number: Int64,
        node: NodeID,
        members: [NodeID],
        term: Term
    ) async throws(CatalogError) -> Bool {
        let parameters: [PostgresValue] = [.term(term), .int8(number), .node(node), .nodes(members)]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.noteTrashAnswer, parameters, deadline: deadline).first?.bool(0) ?? false
        }
    }

    /// Notes what is in the way of an order, for people.
    public func noteTrashObstacle(order number: Int64, _ note: String, term: Term) async throws(CatalogError) {
        let parameters: [PostgresValue] = [.term(term), .int8(number), .text(StoredText.clean(note))]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.noteTrashObstacle, parameters, deadline: deadline).rowCount
        }
    }

    /// Enters instances of a deletion again, by their records; says how many it has in the trash still.
    ///
    /// Safe to repeat; records that are back already, or are not of the deletion, change nothing.
    public func restore(
        _ records: [RecordID],
        ofDeletion deletion: Int64,
        term: Term
    ) async throws(CatalogError) -> Int {
        let parameters: [PostgresValue] = [
            .term(term), .int8(deletion), .text("{\(records.map { "\($0)" }.joined(separator: ","))}"),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.restoreFromTrash, parameters, deadline: deadline).first?.int(0) ?? 0
        }
    }

    private static let openTrashOrders = PreparedStatement(
        "open_trash_orders",
        """
        SELECT o.number, o.deletion, o.kind, o.term, o.reference, o.issued_at, o.reason, o.answered,
            d.restored_at IS NOT NULL, d.grace_days
        FROM open_trash_orders($1, $2, $3, $4) o JOIN deletions d ON d.id = o.deletion ORDER BY o.number
        """
    )

    private static let recordsOfDeletion = PreparedStatement(
        "records_of_deletion",
        """
        SELECT record FROM deletion_records WHERE deletion = $1 AND record > $2::text::uuid
        ORDER BY record LIMIT $3::int4
        """
    )

    private static let noteTrashAnswer = PreparedStatement(
        "note_trash_answer",
        "SELECT note_trash_answer($1, $2, $3, $4)"
    )

    private static let noteTrashObstacle = PreparedStatement(
        "note_trash_obstacle",
        "SELECT note_trash_obstacle($1, $2, $3)"
    )

    private static let restoreFromTrash = PreparedStatement(
        "restore_from_trash",
        "SELECT restore_from_trash($1, $2, $3::text::uuid[])"
    )
}

extension TrashOrder {
    fileprivate init?(row: PostgresResult.Row) {
        guard let number = row.int(0), let deletion = row.int(1), let kind = row.int(2).flatMap(Kind.init),
            let term = row.int(3), let reference = row.nodeID(4)
        else { return nil }
        self.init(
            number: Int64(number),
            deletion: Int64(deletion),
            kind: kind,
            term: Term(rawValue: UInt64(max(0, term))),
            referenceHigh: reference.high,
            referenceLow: reference.low,
            issuedAtMilliseconds: Int64(row.int(5) ?? 0),
            reason: row.text(6),
            answered: Set(row.nodeIDs(7)),
            isRestored: row.bool(8),
            graceDays: row.int(9) ?? 0
        )
    }
}
