// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Storage commitment: requests outlive the process that took them, and whichever process has time works on them.
///
/// Who works on a request claims it for a while by the database's clock, and says so again while it goes on. Where a
/// claim has run out another may take the request over; then nothing that the first one says counts any more.
extension Catalog {
    /// Enters a request, claimed by `holder`; nil when the transaction is under way with other instances.
    ///
    /// The same request again, or one whose transaction is finished, starts anew.
    public func enterCommitment(
        _ request: CommitmentRequest,
        claimedBy holder: String,
        for claim: Duration
    ) async throws(CatalogError) -> Int64? {
        let parameters: [PostgresValue] = [
            .text(request.requestor), .text(request.called), .text(request.transactionUID),
            .texts(request.instances.map(\.sopClassUID)), .texts(request.instances.map(\.sopInstanceUID)),
            .text(holder), .int8(claim.wholeMilliseconds),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.enterCommitment, parameters, deadline: deadline).first?.int(0).map(Int64.init)
        }
    }

    /// Claims requests that are due: those that nobody works on, and those of `holder` that are not in `running`.
    public func claimCommitments(
        by holder: String,
        for claim: Duration,
        except running: [Int64],
        limit: Int
    ) async throws(CatalogError) -> [Commitment] {
        let parameters: [PostgresValue] = [
            .text(holder), .int8(claim.wholeMilliseconds), .int8s(running), .int4(Int32(clamping: limit)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.claimCommitments, parameters, deadline: deadline).rows.map { Commitment(row: $0) }
        }
    }

    /// Claims a request for longer, from now; false when it is another's now, or finished.
    public func keepCommitment(_ id: Int64, by holder: String, for claim: Duration) async throws(CatalogError) -> Bool {
        try await change(Self.keepCommitment, [.int8(id), .text(holder), .int8(claim.wholeMilliseconds)])
    }

    /// Notes what was found out about the instances, as ``Commitment/failures`` has it; false when the request is another's now.
    public func noteCommitment(_ id: Int64, by holder: String, failures: [Int]) async throws(CatalogError) -> Bool {
        try await change(Self.noteCommitment, [.int8(id), .text(holder), .int8s(failures.map(Int64.init))])
    }

    /// Puts a request off; false when it is another's now.
    ///
    /// It stays with `holder` for `claim` after it is due. `isAttempt`: a report was tried.
    public func postponeCommitment(
        _ id: Int64,
        by holder: String,
        for delay: Duration,
        claim: Duration,
        isAttempt: Bool,
        note: String
    ) async throws(CatalogError) -> Bool {
        try await change(
            Self.postponeCommitment,
            [
                .int8(id), .text(holder), .int8(delay.wholeMilliseconds), .int8(claim.wholeMilliseconds),
                .bool(isAttempt),
                .text(note),
            ]
        )
    }

    /// Notes that a request is reported, or given up; false when it is another's now.
    public func finishCommitment(_ id: Int64, by holder: String, note: String) async throws(CatalogError) -> Bool {
        try await change(Self.finishCommitment, [.int8(id), .text(holder), .text(note)])
    }

    /// Forgets requests that were finished so long ago; how many.
    public func forgetCommitments(finishedBefore age: Duration) async throws(CatalogError) -> Int {
        let parameters = [PostgresValue.int8(age.wholeMilliseconds)]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.forgetCommitments, parameters, deadline: deadline).rowCount
        }
    }

    private func change(
        _ statement: PreparedStatement,
        _ parameters: [PostgresValue]
    ) async throws(CatalogError) -> Bool {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(statement, parameters, deadline: deadline).rowCount > 0
        }
    }
}

extension Catalog {
    private static let enterCommitment = PreparedStatement(
        "enter_commitment",
        """
        INSERT INTO commitments AS c (requestor, called, transaction_uid, class_uids, instance_uids, claimed_by, claimed_until)
        VALUES ($1, $2, $3, $4, $5, $6, now() + $7::int8 * interval '1 millisecond')
        ON CONFLICT (requestor, transaction_uid) DO UPDATE SET
            called = EXCLUDED.called, class_uids = EXCLUDED.class_uids, instance_uids = EXCLUDED.instance_uids,
            claimed_by = EXCLUDED.claimed_by, claimed_until = EXCLUDED.claimed_until, requested_at = now(), due_at = now(),
            checked_at = NULL, finished_at = NULL, failures = NULL, attempts = 0, note = ''
        WHERE c.finished_at IS NOT NULL
            OR c.class_uids = EXCLUDED.class_uids AND c.instance_uids = EXCLUDED.instance_uids
        RETURNING id
        """
    )

    private static let claimCommitments = PreparedStatement(
        "claim_commitments",
        """
        UPDATE commitments SET claimed_by = $1, claimed_until = now() + $2::int8 * interval '1 millisecond'
        WHERE id IN (
            SELECT id FROM commitments
            WHERE finished_at IS NULL AND due_at <= now() AND (claimed_until < now() OR claimed_by = $1)
                AND NOT id = ANY ($3::int8[])
            ORDER BY due_at LIMIT $4::int4 FOR UPDATE SKIP LOCKED
        )
        RETURNING id, requestor, called, transaction_uid, class_uids, instance_uids,
            extract(epoch FROM now() - requested_at)::int8, attempts, failures, failures IS NULL,
            extract(epoch FROM now() - coalesce(checked_at, now()))::int8
        """
    )

    private static let keepCommitment = PreparedStatement(
        "keep_commitment",
        """
        UPDATE commitments SET claimed_until = now() + $3::int8 * interval '1 millisecond'
        WHERE id = $1 AND claimed_by = $2 AND finished_at IS NULL RETURNING id
        """
    )

    private static let noteCommitment = PreparedStatement(
        "note_commitment",
        """
        UPDATE commitments SET failures = $3::int8[], checked_at = now()
        WHERE id = $1 AND claimed_by = $2 AND finished_at IS NULL RETURNING id
        """
    )

    private static let postponeCommitment = PreparedStatement(
        "postpone_commitment",
        """
        UPDATE commitments SET due_at = now() + $3::int8 * interval '1 millisecond', note = $6,
            claimed_until = now() + ($3::int8 + $4::int8) * interval '1 millisecond', attempts = attempts + $5::bool::int4
        WHERE id = $1 AND claimed_by = $2 AND finished_at IS NULL RETURNING id
        """
    )

    private static let finishCommitment = PreparedStatement(
        "finish_commitment",
        """
        UPDATE commitments SET finished_at = now(), note = $3
        WHERE id = $1 AND claimed_by = $2 AND finished_at IS NULL RETURNING id
        """
    )

    private static let forgetCommitments = PreparedStatement(
        "forget_commitments",
        "DELETE FROM commitments WHERE finished_at < now() - $1::int8 * interval '1 millisecond' RETURNING id"
    )
}

extension Commitment {
    fileprivate init(row: PostgresResult.Row) {
        self.init(
            id: Int64(row.int(0) ?? 0),
            request: CommitmentRequest(
                requestor: row.text(1),
                called: row.text(2),
                transactionUID: row.text(3),
                instances: zip(row.texts(4), row.texts(5)).map(CommitmentInstance.init)
            ),
            ageSeconds: row.int(6) ?? 0,
            attemptCount: row.int(7) ?? 0,
            failures: row.bool(9) ? nil : row.ints(8),
            resultAgeSeconds: row.int(10) ?? 0
        )
    }
}

extension Duration {
    var wholeMilliseconds: Int64 { TimeAmount(self).nanoseconds / 1_000_000 }
}
