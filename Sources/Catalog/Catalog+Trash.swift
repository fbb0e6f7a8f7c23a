// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import Placement

/// Deleting to the trash, and taking back (docs/decisions/0040-deleting-to-the-trash.md).
extension Catalog {
    /// Deletes: from now on nothing of it is found, and its instances are not taken again; says how many instances that
    /// were, 0 when there is none.
    ///
    /// Safe to repeat: the same reference is the same deletion. The storage nodes are told by the coordinator.
    /// Throws `.held` when the study is under legal hold: nothing of it is deleted then.
    public func moveToTrash(
        _ subject: DeletionSubject,
        _ request: DeletionRequest
    ) async throws(CatalogError) -> Int {
        let parameters: [PostgresValue] = [
            .int4(Int32(subject.level.rawValue)), .text(StoredText.clean(subject.study)),
            .text(StoredText.clean(subject.series)), .text(StoredText.clean(subject.instance)),
            .text(StoredText.clean(request.requestedBy)), .text(StoredText.clean(request.reason)),
            .uuid(high: request.reference.high, low: request.reference.low), .int8(request.issuedAtMilliseconds),
        ]
        let count = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.moveToTrash, parameters, deadline: deadline).first?.int(0) ?? 0
        }
        // The number of a hold, negative (Migration18Holds).
        guard count >= 0 else { throw await heldError(Int64(-count)) }
        return count
    }

    /// Asks for what was deleted of a study, or for what one deletion took, to come back; says how many deletions do, 0 when
    /// the trash has none.
    ///
    /// Safe to repeat. The instances are in the catalog again when a storage node gives them out again.
    public func takeFromTrash(
        study: String,
        deletion: Int64? = nil,
        _ request: DeletionRequest
    ) async throws(CatalogError) -> Int {
        let parameters: [PostgresValue] = [
            .text(StoredText.clean(study)), .int8(deletion ?? 0), .text(StoredText.clean(request.requestedBy)),
            .text(StoredText.clean(request.reason)), .int8(request.issuedAtMilliseconds),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.takeFromTrash, parameters, deadline: deadline).first?.int(0) ?? 0
        }
    }

    /// Deletions, the last first: those in the trash, or with `all` those that were taken back, too; at most `limit`.
    public func deletions(all: Bool = false, limit: Int) async throws(CatalogError) -> [Deletion] {
        let parameters: [PostgresValue] = [.bool(all), .int4(Int32(clamping: limit))]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.deletions, parameters, deadline: deadline).rows.map { Deletion(row: $0) }
        }
    }

    /// Where the copies of what is in the trash are, and can be undeleted: until 30 days after all nodes were told.
    ///
    /// Reads all of the trash.
    public func trashedCopies() async throws(CatalogError) -> [TrashedCopies] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.trashedCopies, [], deadline: deadline).rows.map { row in
                TrashedCopies(nodes: row.nodeIDs(0), instanceCount: row.int(1) ?? 0)
            }
        }
    }

    /// Whether the instance of a record is in the trash.
    public func isInTrash(record: RecordID) async throws(CatalogError) -> Bool {
        let parameters = [PostgresValue.text("\(record)")]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.trashedByRecord, parameters, deadline: deadline).first != nil
        }
    }

    /// Whether there is an instance with that record, wherever its copies are.
    public func isEntered(record: RecordID) async throws(CatalogError) -> Bool {
        let parameters = [PostgresValue.text("\(record)")]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.enteredByRecord, parameters, deadline: deadline).first != nil
        }
    }

    /// Those SOP Instance UIDs that are in the trash.
    static func trashed(
        _ uids: [String],
        _ connection: PostgresConnection,
        _ deadline: NIODeadline
    ) throws(PostgresFailure) -> Set<String> {
        Set(try connection.query(trashedByUID, [.texts(uids)], deadline: deadline).rows.map { $0.text(0) })
    }

    private static let moveToTrash = PreparedStatement(
        "move_to_trash",
        "SELECT move_to_trash($1, $2, $3, $4, $5, $6, $7, $8)"
    )

    private static let takeFromTrash = PreparedStatement(
        "take_from_trash",
        "SELECT take_from_trash($1, $2, $3, $4, $5)"
    )

    private static let deletions = PreparedStatement(
        "deletions",
        """
        SELECT d.id, d.study_uid, d.series_uid, d.instance_uid, d.instance_count,
            o.requested_by, o.reason, o.issued_at, (extract(epoch FROM o.done_at) * 1000)::int8, o.note,
            u.requested_by, u.reason, u.issued_at, (extract(epoch FROM u.done_at) * 1000)::int8, u.note,
            (extract(epoch FROM d.restored_at) * 1000)::int8
        FROM deletions d JOIN trash_orders o ON o.deletion = d.id AND o.kind = 1
            LEFT JOIN trash_orders u ON u.deletion = d.id AND u.kind = 2
        WHERE $1::bool OR d.restored_at IS NULL ORDER BY d.id DESC LIMIT $2::int4
        """
    )

    private static let trashedCopies = PreparedStatement(
        "trashed_copies",
        """
        SELECT p.node_ids, x.number FROM (
            SELECT t.placement, count(*) AS number FROM trashed_instances t
                JOIN trash_orders o ON o.deletion = t.deletion AND o.kind = 1
            WHERE o.done_at IS NULL OR o.done_at > now() - interval '30 days' GROUP BY 1
        ) x JOIN placements p ON p.id = x.placement
        """
    )

    private static let trashedByUID = PreparedStatement(
        "trashed_by_uid",
        """
        SELECT x.uid FROM trashed_instances x
        WHERE uid_key(x.uid) = ANY (ARRAY(SELECT uid_key(u) FROM unnest($1::text[]) u)) AND x.uid = ANY ($1)
        """
    )

    private static let trashedByRecord = PreparedStatement(
        "trashed_by_record",
        "SELECT 1 FROM trashed_instances WHERE record = $1::text::uuid"
    )

    private static let enteredByRecord = PreparedStatement(
        "entered_by_record",
        "SELECT 1 FROM instances WHERE record = $1::text::uuid"
    )
}

extension Deletion {
    fileprivate init(row: PostgresResult.Row) {
        let (series, instance) = (row.text(2), row.text(3))
        self.init(
            id: Int64(row.int(0) ?? 0),
            subject: series.isEmpty
                ? DeletionSubject(study: row.text(1))
                : DeletionSubject(study: row.text(1), series: series, instance: instance),
            instanceCount: row.int(4) ?? 0,
            deletion: Order(row: row, from: 5),
            undeletion: row.isNull(10) ? nil : Order(row: row, from: 10),
            restoredAtMilliseconds: row.int(15).map(Int64.init)
        )
    }
}

extension Deletion.Order {
    fileprivate init(row: PostgresResult.Row, from start: Int) {
        self.init(
            requestedBy: row.text(start),
            reason: row.text(start + 1),
            requestedAtMilliseconds: Int64(row.int(start + 2) ?? 0),
            doneAtMilliseconds: row.int(start + 3).map(Int64.init),
            note: row.text(start + 4)
        )
    }
}
