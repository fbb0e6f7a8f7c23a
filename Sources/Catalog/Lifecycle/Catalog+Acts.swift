// SPDX-License-Identifier: Apache-2.0

public import Placement

/// Rules that act: whether they do, and what they do.
extension Catalog {
    /// How far rounds are, and whether rules act.
    public func lifecycleActs() async throws(CatalogError) -> LifecycleActs {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            guard let row = try connection.query(ActStatements.state, [], deadline: deadline).first else {
                throw PostgresFailure(kind: .unexpected, message: "the row of what rules do is gone")
            }
            return LifecycleActs(row: row)
        }
    }

    /// Lets a version act, by somebody's word; false when it is not the one that holds.
    ///
    /// Marks that were made before count from now on; an alarm is over.
    public func enableActs(
        version: Int64,
        waitMilliseconds: Int64,
        limit: Int64,
        by client: String,
        reason: String
    ) async throws(CatalogError) -> Bool {
        try await change(
            ActStatements.enable,
            [
                .int8(version), .int8(waitMilliseconds), .int8(limit), .text(StoredText.clean(client)),
                .text(StoredText.clean(reason)),
            ]
        )
    }

    /// Stops all acting at once, also through restarts, or lets it go on.
    public func pauseActs(_ isPaused: Bool, by client: String, reason: String) async throws(CatalogError) {
        _ = try await change(
            ActStatements.pause,
            [.bool(isPaused), .text(StoredText.clean(client)), .text(StoredText.clean(reason))]
        )
    }

    /// Asks for a round now.
    public func requestRound() async throws(CatalogError) {
        _ = try await change(ActStatements.request, [])
    }

    /// The studies that may expire now, those that were marked first; at most `limit`.
    public func expirableStudies(version: Int64, limit: Int) async throws(CatalogError) -> [KeptDecision] {
        try await kept(ActStatements.expirable, version, limit)
    }

    /// The studies of which it has to be looked whether their packs are there, at most `limit`.
    public func movableStudies(version: Int64, limit: Int) async throws(CatalogError) -> [KeptDecision] {
        try await kept(ActStatements.movable, version, limit)
    }

    /// Says when a study is to be looked at again, from now; nil: all that is wanted for it is done.
    public func lookAgain(at study: Int64, after delay: Duration?, term: Term) async throws(CatalogError) {
        let milliseconds = delay.map { $0.components.seconds * 1000 } ?? -1
        _ = try await change(ActStatements.look, [.term(term), .int8(study), .int8(milliseconds)])
    }

    /// How many instances of a study are in no pack of a tier.
    public func instancesMissing(inTier tier: String, ofStudy uid: String) async throws(CatalogError) -> Int {
        guard let key = RecordID.range(studyInstanceUID: uid)?.lowerBound else { return 0 }
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let values: [PostgresValue] = [.text(uid), .record(key), .text(tier)]
            return try connection.query(ActStatements.missing, values, deadline: deadline).first?.int(0) ?? 0
        }
    }

    /// What nodes have of a study that is in packs of a tier.
    public func copiesBesidePacks(
        inTier tier: String,
        ofStudy uid: String
    ) async throws(CatalogError) -> CopiesBesidePacks {
        guard let key = RecordID.range(studyInstanceUID: uid)?.lowerBound else {
            return CopiesBesidePacks(instanceCount: 0, cameBackAtMilliseconds: nil)
        }
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let values: [PostgresValue] = [.text(uid), .record(key), .text(tier)]
            let row = try connection.query(ActStatements.besidePacks, values, deadline: deadline).first
            return CopiesBesidePacks(
                instanceCount: row?.int(0) ?? 0,
                cameBackAtMilliseconds: row?.int(1).map(Int64.init)
            )
        }
    }

    /// Orders by a rule that a study go into packs, unless as many are under way as may be.
    public func orderMove(
        ofStudy study: String,
        tier: String,
        place: String,
        keepsHot: Bool,
        soak: Duration,
        rule: (by: String, reason: String),
        version: Int64,
        mostAtOnce: Int,
        term: Term
    ) async throws(CatalogError) -> RuleMoveOutcome {
        guard let key = RecordID.range(studyInstanceUID: study)?.lowerBound else { return .underWay }
        let values: [PostgresValue] = [
            .term(term), .int8(version), .int4(Int32(clamping: mostAtOnce)), .text(study), .record(key), .text(tier),
            .text(place), .bool(keepsHot), .int8(soak.components.seconds), .text(StoredText.clean(rule.by)),
            .text(StoredText.clean(rule.reason)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let outcome = try connection.query(ActStatements.orderMove, values, deadline: deadline).first?.int(0)
            return outcome.flatMap(RuleMoveOutcome.init) ?? .notActing
        }
    }

    /// Deletes a study to the trash by a rule, if everything still allows it at this moment.
    public func expire(
        _ study: String,
        rule: String,
        graceDays: Int,
        quietMilliseconds: Int64,
        version: Int64,
        _ request: DeletionRequest,
        term: Term
    ) async throws(CatalogError) -> ExpiryOutcome {
        let values: [PostgresValue] = [
            .term(term), .int8(version), .text(StoredText.clean(study)), .text(StoredText.clean(request.requestedBy)),
            .text(StoredText.clean(request.reason)), .text(rule), .int4(Int32(clamping: graceDays)),
            .int8(quietMilliseconds), .uuid(high: request.reference.high, low: request.reference.low),
            .int8(request.issuedAtMilliseconds),
        ]
        let result = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(ActStatements.expire, values, deadline: deadline).first?.int(0) ?? 0
        }
        if result > 0 { return .expired(result) }
        return .refused(ExpiryOutcome.Refusal(rawValue: result) ?? .notActing)
    }

    private func kept(
        _ statement: PreparedStatement,
        _ version: Int64,
        _ limit: Int
    ) async throws(CatalogError) -> [KeptDecision] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let values: [PostgresValue] = [.int8(version), .int4(Int32(clamping: limit))]
            return try connection.query(statement, values, deadline: deadline).rows.map { KeptDecision(row: $0) }
        }
    }

    private func change(
        _ statement: PreparedStatement,
        _ values: [PostgresValue]
    ) async throws(CatalogError) -> Bool {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(statement, values, deadline: deadline).changedRowCount > 0
        }
    }
}

private enum ActStatements {
    static let state = PreparedStatement(
        "lifecycle_acts",
        """
        SELECT coalesce((SELECT max(r.version) FROM rule_sets r), 0), a.judged_version, a.acting_version, a.is_paused,
            a.paused_by, a.paused_reason, a.enabled_by, a.enabled_reason, (extract(epoch FROM a.enabled_at) * 1000)::int8,
            a.expire_wait, a.expire_limit,
            CASE WHEN a.expired_day = (now() AT TIME ZONE 'UTC')::date THEN a.expired_count ELSE 0 END, a.alarm,
            (extract(epoch FROM a.round_started_at) * 1000)::int8,
            (extract(epoch FROM a.round_finished_at) * 1000)::int8, a.round_studies,
            coalesce(a.round_requested_at > coalesce(a.round_started_at, 'epoch'), false),
            (extract(epoch FROM now() - a.round_started_at) * 1000)::int8
        FROM lifecycle_acts a
        """
    )
    static let enable = PreparedStatement(
        "enable_acts",
        """
        UPDATE lifecycle_acts SET acting_version = $1::int8, expire_wait = $2::int8, expire_limit = $3::int8,
            enabled_by = $4::text, enabled_reason = $5::text, enabled_at = now(), alarm = '', expired_count = 0
        WHERE $1::int8 = (SELECT max(r.version) FROM rule_sets r)
        """
    )
    static let pause = PreparedStatement(
        "pause_acts",
        "UPDATE lifecycle_acts SET is_paused = $1, paused_by = $2, paused_reason = $3, paused_at = now()"
    )
    static let request = PreparedStatement(
        "request_round",
        "UPDATE lifecycle_acts SET round_requested_at = clock_timestamp()"
    )

    private static let kept = """
        SELECT t.uid, d.study, d.policy, d.rule, d.next_due, d.expires, d.version, d.since, d.marked_at, NULL::int8
        FROM lifecycle_acts a JOIN lifecycle_decisions d ON d.version = a.acting_version JOIN studies t ON t.id = d.study
        WHERE a.acting_version = $1::int8 AND NOT a.is_paused AND coalesce(d.look_at, 0)
            <= (extract(epoch FROM now()) * 1000)::int8
        """

    static let expirable = PreparedStatement(
        "expirable_studies",
        """
        \(kept) AND a.alarm = '' AND d.expires AND greatest(d.marked_at, (extract(epoch FROM a.enabled_at) * 1000)::int8)
            <= (extract(epoch FROM now()) * 1000)::int8 - a.expire_wait
        ORDER BY d.marked_at LIMIT $2::int4
        """
    )
    static let movable = PreparedStatement(
        "movable_studies",
        "\(kept) AND d.look_at IS NOT NULL AND NOT d.expires ORDER BY d.look_at LIMIT $2::int4"
    )
    static let look = PreparedStatement(
        "look_again",
        """
        WITH leads AS MATERIALIZED (SELECT require_term($1::int8))
        UPDATE lifecycle_decisions SET look_at = CASE WHEN $3::int8 >= 0
            THEN (extract(epoch FROM now()) * 1000)::int8 + $3::int8 END
        FROM leads WHERE study = $2::int8
        """
    )
    static let missing = PreparedStatement(
        "instances_missing_in_tier",
        """
        SELECT count(*) FROM studies t JOIN series e ON e.study = t.id JOIN instances i ON i.series = e.id
        WHERE t.uid = $1::text AND i.record NOT IN (
            SELECT unnest(c.records) FROM cold_packs c JOIN pack_moves o ON o.id = c.move
            WHERE c.study_key = $2 AND c.state < 5 AND o.tier = $3::text
        )
        """
    )
    static let besidePacks = PreparedStatement(
        "copies_beside_packs",
        """
        SELECT count(*), (
            SELECT (extract(epoch FROM max(r.done_at)) * 1000)::int8 FROM pack_recalls r
            WHERE r.study_key = $2 AND r.study_uid = $1::text AND r.state = 2
        )
        FROM studies t JOIN series e ON e.study = t.id JOIN instances i ON i.series = e.id
            JOIN placements p ON p.id = i.placement
        WHERE t.uid = $1::text AND cardinality(p.nodes) > 0 AND i.record IN (
            SELECT unnest(c.records) FROM cold_packs c JOIN pack_moves o ON o.id = c.move
            WHERE c.study_key = $2 AND c.state = 4 AND o.tier = $3::text
        )
        """
    )
    static let orderMove = PreparedStatement(
        "order_rule_move",
        "SELECT order_rule_move($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
    )
    static let expire = PreparedStatement(
        "expire_study",
        "SELECT expire_study($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
    )
}

extension LifecycleActs {
    fileprivate init(row: PostgresResult.Row) {
        self.init(
            version: Int64(row.int(0) ?? 0),
            judgedVersion: Int64(row.int(1) ?? 0),
            actingVersion: Int64(row.int(2) ?? 0),
            isPaused: row.bool(3),
            pausedBy: row.text(4),
            pausedReason: row.text(5),
            enabledBy: row.text(6),
            enabledReason: row.text(7),
            enabledAtMilliseconds: row.int(8).map(Int64.init),
            expireWaitMilliseconds: Int64(row.int(9) ?? 0),
            expireLimit: Int64(row.int(10) ?? 0),
            expiredToday: Int64(row.int(11) ?? 0),
            alarm: row.text(12),
            roundStartedAtMilliseconds: row.int(13).map(Int64.init),
            roundFinishedAtMilliseconds: row.int(14).map(Int64.init),
            roundStudyCount: Int64(row.int(15) ?? 0),
            isRoundRequested: row.bool(16),
            sinceRound: row.int(17).map { .milliseconds($0) }
        )
    }
}
