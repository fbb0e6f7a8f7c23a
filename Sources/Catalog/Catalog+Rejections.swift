// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Rejection notes: read and acted on by whichever process has time (docs/decisions/0063-rejection-notes.md).
///
/// What a note does it does in one transaction, so two who work on the same one do it once.
extension Catalog {
    /// Takes notes that are due, and that nobody else takes for `claim`: to be read, to be acted on, or because something
    /// came that they await.
    public func claimRejectionNotes(for claim: Duration, limit: Int) async throws(CatalogError) -> [RejectionNote] {
        let parameters: [PostgresValue] = [.int4(Int32(clamping: limit)), .int8(claim.wholeMilliseconds)]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try RejectionStatements.notes(connection.query(RejectionStatements.claim, parameters, deadline: deadline))
        }
    }

    /// Files what a note says, and whether it is to be acted on; false when somebody has done so already.
    public func file(
        _ rejection: Rejection,
        ofNote id: Int64,
        isApproved: Bool,
        obstacle: String = ""
    ) async throws(CatalogError) -> Bool {
        let state = isApproved ? RejectionNote.State.wanted : .unapproved
        let parameters: [PostgresValue] = [
            .int8(id), .int4(Int32(state.rawValue)), .text(StoredText.clean(rejection.title)),
            .text(StoredText.clean(rejection.reason)), .bool(rejection.awaitsInstances),
            .text(StoredText.clean(obstacle)),
            .texts(rejection.references.map { StoredText.clean($0.study) }),
            .texts(rejection.references.map { StoredText.clean($0.series) }),
            .texts(rejection.references.map { StoredText.clean($0.instance) }),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(RejectionStatements.file, parameters, deadline: deadline).first?.bool(0) ?? false
        }
    }

    /// Forgets a document that rejects nothing.
    public func forgetRejectionNote(_ id: Int64) async throws(CatalogError) {
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(RejectionStatements.forget, [.int8(id)], deadline: deadline).changedRowCount
        }
    }

    /// Notes what is in the way of a note and looks at it again after `delay`; nil: never, it cannot be understood.
    public func putOffRejectionNote(
        _ id: Int64,
        for delay: Duration?,
        obstacle: String
    ) async throws(CatalogError) {
        let parameters: [PostgresValue] = [
            .int8(id), .int8(delay?.wholeMilliseconds ?? -1), .text(StoredText.clean(obstacle)),
        ]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(RejectionStatements.putOff, parameters, deadline: deadline).changedRowCount
        }
    }

    /// Moves what a note names and is here to the trash: all of it, or nothing while a study of it is held.
    public func actOnRejectionNote(
        _ id: Int64,
        issuedAtMilliseconds: Int64
    ) async throws(CatalogError) -> RejectionOutcome {
        let parameters: [PostgresValue] = [.int8(id), .int8(issuedAtMilliseconds)]
        let outcome = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(RejectionStatements.act, parameters, deadline: deadline).first?.int(0)
        }
        guard let outcome else { return .notWanted }
        return outcome < 0 ? .held(Int64(-outcome)) : .retired(outcome)
    }

    /// Approves or dismisses a note; false when there is none of which that can be decided.
    public func decideRejectionNote(
        _ id: Int64,
        approves: Bool,
        reason: String,
        decidedBy client: String
    ) async throws(CatalogError) -> Bool {
        let parameters: [PostgresValue] = [
            .int8(id), .bool(approves), .text(StoredText.clean(client)), .text(StoredText.clean(reason)),
        ]
        return try await perform(.once) { connection, deadline throws(PostgresFailure) in
            try connection.query(RejectionStatements.decide, parameters, deadline: deadline).first?.bool(0) ?? false
        }
    }

    /// Notes, the last first: those that are not done or dismissed, or with `all` all that ever came; at most `limit`.
    public func rejectionNotes(all: Bool = false, limit: Int) async throws(CatalogError) -> [RejectionNote] {
        let parameters: [PostgresValue] = [.bool(all), .int4(Int32(clamping: limit))]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try RejectionStatements.notes(connection.query(RejectionStatements.list, parameters, deadline: deadline))
        }
    }

    /// How many notes are in each state.
    public func rejectionNoteCounts() async throws(CatalogError) -> [RejectionNote.State: Int] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            var counts: [RejectionNote.State: Int] = [:]
            for row in try connection.query(RejectionStatements.counts, [], deadline: deadline).rows {
                if let state = row.int(0).flatMap(RejectionNote.State.init) { counts[state] = row.int(1) ?? 0 }
            }
            return counts
        }
    }
}

private enum RejectionStatements {
    private static let columns = """
        n.id, n.instance_uid, n.record, n.sender, n.received_at, n.state, n.title, n.decided_by, n.decision_reason,
            (extract(epoch FROM n.acted_at) * 1000)::int8, n.note
        """

    static let claim = PreparedStatement(
        "claim_rejection_notes",
        """
        SELECT \(columns), 0, 0, 0, '' FROM claim_rejection_notes($1::int4, $2::int8 * interval '1 millisecond') n
        ORDER BY n.id
        """
    )

    static let file = PreparedStatement("file_rejection", "SELECT file_rejection($1, $2, $3, $4, $5, $6, $7, $8, $9)")

    static let forget = PreparedStatement(
        "forget_rejection_note",
        "DELETE FROM rejection_notes WHERE id = $1::int8 AND state = 0"
    )

    static let putOff = PreparedStatement(
        "put_off_rejection_note",
        """
        UPDATE rejection_notes SET note = $3::text, state = CASE WHEN $2::int8 < 0 THEN 5 ELSE state END,
            due_at = now() + greatest($2::int8, 0) * interval '1 millisecond'
        WHERE id = $1::int8 AND (state IN (2, 3) AND $2::int8 >= 0 OR state = 0)
        """
    )

    static let act = PreparedStatement("act_on_rejection", "SELECT act_on_rejection($1, $2)")

    static let decide = PreparedStatement("decide_rejection", "SELECT decide_rejection($1, $2, $3, $4)")

    static let list = PreparedStatement(
        "rejection_notes",
        """
        SELECT \(columns), r.named, r.retired, r.awaited, r.study
        FROM (
            SELECT * FROM rejection_notes x
            WHERE ($1::bool AND x.state <> 0) OR x.state IN (1, 2, 5) OR (x.state = 0 AND x.note <> '')
                OR (x.state = 3 AND x.note <> '')
            ORDER BY x.id DESC LIMIT $2::int4
        ) n CROSS JOIN LATERAL (
            SELECT count(*) AS named, count(*) FILTER (WHERE y.state = 1) AS retired,
                count(*) FILTER (WHERE y.state = 0) AS awaited, coalesce(min(y.study_uid), '') AS study
            FROM rejected_instances y WHERE y.note = n.id
        ) r ORDER BY n.id DESC
        """
    )

    static let counts = PreparedStatement(
        "rejection_note_counts",
        "SELECT state, count(*) FROM rejection_notes GROUP BY state"
    )

    static func notes(_ result: PostgresResult) throws(PostgresFailure) -> [RejectionNote] {
        var notes: [RejectionNote] = []
        for row in result.rows {
            guard let note = RejectionNote(row: row) else {
                throw PostgresFailure(kind: .unexpected, message: "a rejection note cannot be read")
            }
            notes.append(note)
        }
        return notes
    }
}

extension RejectionNote {
    fileprivate init?(row: PostgresResult.Row) {
        guard let id = row.int(0), let record = row.recordID(2), let state = row.int(5).flatMap(State.init) else {
            return nil
        }
        self.init(
            id: Int64(id),
            instance: row.text(1),
            record: record,
            sender: row.text(3),
            receivedAtMilliseconds: Int64(row.int(4) ?? 0),
            state: state,
            title: row.text(6),
            decidedBy: row.text(7),
            decisionReason: row.text(8),
            actedAtMilliseconds: row.int(9).map(Int64.init),
            obstacle: row.text(10),
            namedCount: row.int(11) ?? 0,
            retiredCount: row.int(12) ?? 0,
            awaitedCount: row.int(13) ?? 0,
            study: row.text(14)
        )
    }
}
