// SPDX-License-Identifier: Apache-2.0

public import Placement

/// What rules made of studies, kept from one round to the next: all that changes it is under the coordinator's term.
///
/// Safe to repeat, all of it.
extension Catalog {
    /// Begins to go through all studies by a version, or goes on; after which study it does.
    public func beginPass(version: Int64, term: Term) async throws(CatalogError) -> Int64 {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let values: [PostgresValue] = [.term(term), .int8(version)]
            return Int64(
                try connection.query(DecisionStatements.beginPass, values, deadline: deadline).first?.int(0) ?? 0
            )
        }
    }

    /// Notes that a round of what is due begins, or ends.
    public func noteRound(begins: Bool, term: Term) async throws(CatalogError) {
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(DecisionStatements.noteRound, [.term(term), .bool(begins)], deadline: deadline)
                .rowCount
        }
    }

    /// Enters what was decided on a day (in days since 1970), and forgets the studies that are gone.
    ///
    /// `cursor` is how far the pass through all studies is, `ends` whether that was all of them.
    public func enter(
        _ decisions: [StudyDecision],
        version: Int64,
        day: Int,
        gone: [Int64] = [],
        notes: [Int64] = [],
        cursor: Int64? = nil,
        ends: Bool = false,
        term: Term
    ) async throws(CatalogError) {
        let values: [PostgresValue] = [
            .term(term), .int8(version), .int4(Int32(clamping: day)),
            .int8s(decisions.map(\.study)), .int8s(decisions.map { Int64($0.policy) }),
            .int8s(decisions.map { Int64($0.rule ?? -1) }),
            .int8s(decisions.map { Int64($0.nextDue ?? Int(Int32.max)) }),
            .int8s(decisions.map { $0.expires ? 1 : 0 }), .int8s(decisions.map { $0.wantsPacks ? 1 : 0 }),
            .int8s(gone), .int8s(notes), .int8(cursor ?? -1), .bool(ends),
        ]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(DecisionStatements.enter, values, deadline: deadline).rowCount
        }
    }

    /// Studies of which something changed that rules decide by; of at most so many notes, the oldest.
    public func touchedStudies(limit: Int) async throws(CatalogError) -> TouchedStudies {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let rows = try connection.query(
                DecisionStatements.touched,
                [.int4(Int32(clamping: limit))],
                deadline: deadline
            ).rows.map { (Int64($0.int(0) ?? 0), Int64($0.int(1) ?? 0)) }
            return TouchedStudies(studies: Set(rows.map(\.1)).sorted(), notes: rows.map(\.0))
        }
    }

    /// Studies whose decision may be another on a day, in days since 1970.
    public func dueStudies(on day: Int, limit: Int) async throws(CatalogError) -> [Int64] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(
                DecisionStatements.due,
                [.int4(Int32(clamping: day)), .int4(Int32(clamping: limit))],
                deadline: deadline
            ).rows.compactMap { $0.int(0).map(Int64.init) }
        }
    }

    /// What is kept of a study; nil before it was judged.
    public func decision(ofStudy uid: String) async throws(CatalogError) -> KeptDecision? {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(DecisionStatements.ofStudy, [.text(StoredText.clean(uid))], deadline: deadline)
                .first.map { KeptDecision(row: $0) }
        }
    }

    /// The studies that are to expire, those that do first; at most `limit`.
    public func markedStudies(limit: Int) async throws(CatalogError) -> [KeptDecision] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(DecisionStatements.marked, [.int4(Int32(clamping: limit))], deadline: deadline).rows
                .map { KeptDecision(row: $0) }
        }
    }

    /// How many studies have which policy.
    public func policyCounts() async throws(CatalogError) -> [PolicyCount] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(DecisionStatements.counts, [], deadline: deadline).rows.map { row in
                PolicyCount(policy: row.int(1) ?? 0, version: Int64(row.int(0) ?? 0), studyCount: row.int(2) ?? 0)
            }
        }
    }

    /// How many studies are to expire, are due on a day (in days since 1970), or changed and are not judged again yet.
    public func decisionTotals(on day: Int) async throws(CatalogError) -> (marked: Int, due: Int, touched: Int) {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let row = try connection.query(
                DecisionStatements.totals,
                [.int4(Int32(clamping: day))],
                deadline: deadline
            ).first
            return (row?.int(0) ?? 0, row?.int(1) ?? 0, row?.int(2) ?? 0)
        }
    }
}

private enum DecisionStatements {
    static let beginPass = PreparedStatement("begin_pass", "SELECT begin_pass($1, $2)")
    static let noteRound = PreparedStatement("note_round", "SELECT note_round($1, $2)")
    static let enter = PreparedStatement(
        "enter_decisions",
        "SELECT enter_decisions($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
    )
    static let touched = PreparedStatement(
        "touched_studies",
        "SELECT id, study FROM lifecycle_touched ORDER BY id LIMIT $1::int4"
    )
    static let due = PreparedStatement(
        "due_studies",
        """
        SELECT study FROM lifecycle_decisions WHERE next_due < 2147483647 AND next_due <= $1::int4
        ORDER BY next_due, study LIMIT $2::int4
        """
    )

    private static let kept = """
        SELECT t.uid, d.study, d.policy, d.rule, d.next_due, d.expires, d.version, d.since, d.marked_at,
            CASE WHEN a.acting_version = d.version AND d.expires
                THEN greatest(d.marked_at, (extract(epoch FROM a.enabled_at) * 1000)::int8) + a.expire_wait END
        FROM lifecycle_decisions d JOIN studies t ON t.id = d.study CROSS JOIN lifecycle_acts a
        """

    static let ofStudy = PreparedStatement("decision_of_study", "\(kept) WHERE t.uid = $1::text")
    static let marked = PreparedStatement(
        "marked_studies",
        "\(kept) WHERE d.expires ORDER BY d.marked_at, d.study LIMIT $1::int4"
    )
    static let counts = PreparedStatement(
        "policy_counts",
        "SELECT version, policy, count(*) FROM lifecycle_decisions GROUP BY 1, 2 ORDER BY 1, 2"
    )
    static let totals = PreparedStatement(
        "decision_totals",
        """
        SELECT (SELECT count(*) FROM lifecycle_decisions WHERE expires),
            (SELECT count(*) FROM lifecycle_decisions WHERE next_due < 2147483647 AND next_due <= $1::int4),
            (SELECT count(*) FROM lifecycle_touched)
        """
    )
}

extension KeptDecision {
    /// Of the columns of `DecisionStatements.kept`.
    init(row: PostgresResult.Row) {
        let (rule, due) = (row.int(3) ?? -1, row.int(4) ?? Int(Int32.max))
        self.init(
            studyInstanceUID: row.text(0),
            decision: StudyDecision(
                study: Int64(row.int(1) ?? 0),
                policy: row.int(2) ?? 0,
                rule: rule < 0 ? nil : rule,
                nextDue: due == Int(Int32.max) ? nil : due,
                expires: row.bool(5),
                wantsPacks: false
            ),
            version: Int64(row.int(6) ?? 0),
            since: row.int(7) ?? 0,
            markedAtMilliseconds: row.int(8).map(Int64.init),
            expiresAtMilliseconds: row.int(9).map(Int64.init)
        )
    }
}
