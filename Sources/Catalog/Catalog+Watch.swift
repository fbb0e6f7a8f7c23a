// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore

/// Samples of what was accepted, which are fetched again (docs/decisions/0051-looking-again.md).
///
/// A look that is due is claimed for a while by the database's clock; what somebody says whose claim has run out does not
/// count any more.
extension Catalog {
    /// Enters a sample that was accepted `age` ago, to be looked at when it is `firstAgeSeconds` old; false when there are
    /// `limit` already.
    public func enterSample(
        _ instance: WatchedInstance,
        acceptedBy name: String,
        age: Duration,
        firstAgeSeconds: Int,
        limit: Int
    ) async throws(CatalogError) -> Bool {
        try await change(
            Self.enterSample,
            [
                .text(name), .int8(age.wholeMilliseconds), .int8(Int64(firstAgeSeconds)), .int8(Int64(limit)),
                .record(instance.recordID), .text(instance.studyInstanceUID), .text(instance.seriesInstanceUID),
                .text(instance.sopInstanceUID), .text(instance.receivedTransferSyntax),
                .text(instance.storedTransferSyntax), .bytes(instance.contentDigest.bytes),
                .bytes(instance.pixelDigest?.bytes), .bool(instance.isNoted),
            ]
        ) > 0
    }

    /// Claims looks that are due, those first that have been due for longest: those that nobody has, and those of `holder`
    /// that are not in `running`; at most `limit`.
    ///
    /// What `holder` accepted itself is left to others until it has been due for `deference`.
    public func claimLooks(
        by holder: String,
        for claim: Duration,
        deference: Duration,
        except running: [Int64],
        limit: Int
    ) async throws(CatalogError) -> [WatchLook] {
        let parameters: [PostgresValue] = [
            .text(holder), .int8(claim.wholeMilliseconds), .int8(deference.wholeMilliseconds),
            .int8s(running), .int4(Int32(clamping: limit)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.claimLooks, parameters, deadline: deadline).rows.compactMap { WatchLook(row: $0) }
        }
    }

    /// Notes that a sample came back as it was accepted, and plans the next look, or forgets the sample without one; false
    /// when the look is another's now.
    public func passLook(_ id: Int64, by holder: String, nextAgeSeconds: Int?) async throws(CatalogError) -> Bool {
        guard let nextAgeSeconds else { return try await dropSample(id, by: holder) }
        return try await change(Self.passLook, [.int8(id), .text(holder), .int8(Int64(nextAgeSeconds))]) > 0
    }

    /// Notes that a sample did not come back, and when it is tried again; false when the look is another's now.
    public func failLook(
        _ id: Int64,
        by holder: String,
        as failure: String,
        note: String,
        isAlarm: Bool,
        retryAfter delay: Duration
    ) async throws(CatalogError) -> Bool {
        try await change(
            Self.failLook,
            [
                .int8(id), .text(holder), .text(failure), .text(StoredText.clean(note)), .bool(isAlarm),
                .int8(delay.wholeMilliseconds),
            ]
        ) > 0
    }

    /// Forgets a sample; false when the look is another's now.
    public func dropSample(_ id: Int64, by holder: String) async throws(CatalogError) -> Bool {
        try await change(Self.dropSample, [.int8(id), .text(holder)]) > 0
    }

    /// All samples together.
    public func watchOverview() async throws(CatalogError) -> WatchOverview {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let row = try connection.query(Self.watchOverview, [], deadline: deadline).first
            return WatchOverview(
                sampleCount: row?.int(0) ?? 0,
                overdueSeconds: row?.int(1) ?? 0,
                alarmCount: row?.int(2) ?? 0
            )
        }
    }

    /// Samples that do not come back as they were accepted, the first that failed first; at most `limit`.
    public func watchAlarms(limit: Int) async throws(CatalogError) -> [WatchAlarm] {
        let parameters: [PostgresValue] = [.int4(Int32(clamping: limit))]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.watchAlarms, parameters, deadline: deadline).rows.compactMap {
                WatchAlarm(row: $0)
            }
        }
    }

    /// Forgets the samples of a study that are alarms, or with nil all that are, and keeps who said so and why; how many.
    public func acknowledgeAlarms(study: String?, by client: String, reason: String) async throws(CatalogError) -> Int {
        let parameters: [PostgresValue] = [
            .text(study ?? ""), .bool(study == nil), .text(StoredText.clean(client)), .text(StoredText.clean(reason)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.acknowledgeAlarms, parameters, deadline: deadline).first?.int(0) ?? 0
        }
    }

    private func change(
        _ statement: PreparedStatement,
        _ parameters: [PostgresValue]
    ) async throws(CatalogError) -> Int {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(statement, parameters, deadline: deadline).changedRowCount
        }
    }
}

extension Catalog {
    private static let enterSample = PreparedStatement(
        "enter_sample",
        """
        INSERT INTO watch_samples (accepted_by, accepted_at, age_seconds, due_at, record, study_uid, series_uid,
            instance_uid, received_syntax, stored_syntax, content_digest, pixel_digest, noted)
        SELECT $1::text, now() - $2::int8 * interval '1 millisecond', $3::int8,
            now() - $2::int8 * interval '1 millisecond' + $3::int8 * interval '1 second',
            $5::uuid, $6::text, $7::text, $8::text, $9::text, $10::text, $11::bytea, $12::bytea, $13::bool
        WHERE (SELECT count(*) FROM (SELECT FROM watch_samples LIMIT $4::int8) s) < $4::int8
        """
    )

    private static let claimLooks = PreparedStatement(
        "claim_looks",
        """
        UPDATE watch_samples SET claimed_by = $1::text, claimed_until = now() + $2::int8 * interval '1 millisecond'
        WHERE id IN (
            SELECT id FROM watch_samples
            WHERE due_at <= now() AND (claimed_until < now() OR claimed_by = $1::text) AND NOT id = ANY ($4::int8[])
                AND (accepted_by <> $1::text OR due_at <= now() - $3::int8 * interval '1 millisecond')
            ORDER BY due_at LIMIT $5::int4 FOR UPDATE SKIP LOCKED
        )
        RETURNING id, age_seconds, extract(epoch FROM now() - accepted_at)::int8, attempts,
            coalesce(extract(epoch FROM now() - failing_since), 0)::int8, alarm_since IS NOT NULL,
            record, study_uid, series_uid, instance_uid, received_syntax, stored_syntax, content_digest, pixel_digest, noted
        """
    )

    private static let passLook = PreparedStatement(
        "pass_look",
        """
        UPDATE watch_samples SET claimed_by = '', claimed_until = '-infinity', attempts = 0, failing_since = NULL,
            alarm_since = NULL, failure = '', note = '', age_seconds = $3::int8,
            due_at = accepted_at + $3::int8 * interval '1 second'
        WHERE id = $1 AND claimed_by = $2::text AND claimed_until >= now()
        """
    )

    private static let failLook = PreparedStatement(
        "fail_look",
        """
        UPDATE watch_samples SET claimed_by = '', claimed_until = '-infinity', attempts = attempts + 1,
            failing_since = coalesce(failing_since, now()), failure = $3::text, note = $4::text,
            alarm_since = CASE WHEN $5::bool THEN coalesce(alarm_since, now()) ELSE alarm_since END,
            due_at = now() + $6::int8 * interval '1 millisecond'
        WHERE id = $1 AND claimed_by = $2::text AND claimed_until >= now()
        """
    )

    private static let dropSample = PreparedStatement(
        "drop_sample",
        "DELETE FROM watch_samples WHERE id = $1 AND claimed_by = $2::text AND claimed_until >= now()"
    )

    private static let watchOverview = PreparedStatement(
        "watch_overview",
        """
        SELECT (SELECT count(*) FROM watch_samples),
            (SELECT greatest(0, extract(epoch FROM now() - min(due_at)))::int8 FROM watch_samples),
            (SELECT count(*) FROM watch_samples WHERE alarm_since IS NOT NULL)
        """
    )

    private static let watchAlarms = PreparedStatement(
        "watch_alarms",
        """
        SELECT study_uid, instance_uid, record, failure, note, (extract(epoch FROM accepted_at) * 1000)::int8,
            (extract(epoch FROM failing_since) * 1000)::int8, attempts
        FROM watch_samples WHERE alarm_since IS NOT NULL ORDER BY alarm_since, id LIMIT $1::int4
        """
    )

    private static let acknowledgeAlarms = PreparedStatement(
        "acknowledge_alarms",
        """
        WITH known AS (
            DELETE FROM watch_samples WHERE alarm_since IS NOT NULL AND ($2::bool OR study_uid = $1::text) RETURNING 1
        )
        INSERT INTO watch_acknowledgements (acknowledged_by, reason, study_uid, samples)
        SELECT $3::text, $4::text, $1::text, count(*)::integer FROM known HAVING count(*) > 0
        RETURNING samples
        """
    )
}

extension WatchedInstance {
    fileprivate init?(row: PostgresResult.Row, from start: Int) {
        guard let record = row.recordID(start), let digest = row.digest(start + 6) else { return nil }
        self.recordID = record
        self.studyInstanceUID = row.text(start + 1)
        self.seriesInstanceUID = row.text(start + 2)
        self.sopInstanceUID = row.text(start + 3)
        self.receivedTransferSyntax = row.text(start + 4)
        self.storedTransferSyntax = row.text(start + 5)
        self.contentDigest = digest
        self.pixelDigest = row.digest(start + 7)
        self.isNoted = row.bool(start + 8)
    }
}

extension WatchLook {
    fileprivate init?(row: PostgresResult.Row) {
        guard let id = row.int(0), let instance = WatchedInstance(row: row, from: 6) else { return nil }
        self.init(
            id: Int64(id),
            instance: instance,
            plannedAgeSeconds: row.int(1) ?? 0,
            ageSeconds: row.int(2) ?? 0,
            failureCount: row.int(3) ?? 0,
            failingSeconds: row.int(4) ?? 0,
            isAlarm: row.bool(5)
        )
    }
}

extension WatchAlarm {
    fileprivate init?(row: PostgresResult.Row) {
        guard let record = row.recordID(2) else { return nil }
        self.init(
            studyInstanceUID: row.text(0),
            sopInstanceUID: row.text(1),
            recordID: record,
            failure: row.text(3),
            note: row.text(4),
            acceptedAtMilliseconds: Int64(row.int(5) ?? 0),
            failingSinceMilliseconds: Int64(row.int(6) ?? 0),
            failureCount: row.int(7) ?? 0
        )
    }
}
