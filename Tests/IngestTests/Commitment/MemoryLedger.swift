// SPDX-License-Identifier: Apache-2.0

import Catalog
import Ingest
import NIOConcurrencyHelpers

/// One request, kept as the catalog keeps it, under a clock that the test moves.
final class MemoryLedger: CommitmentLedger {
    struct State {
        var commitment: Commitment
        var holder: String
        var due = Duration.zero
        var isFinished = false
        var notes: [String] = []
        var isAway = false
    }

    let state: NIOLockedValueBox<State>

    init(_ commitment: Commitment, holder: String) {
        state = NIOLockedValueBox(State(commitment: commitment, holder: holder))
    }

    /// The request as it is claimed next, so many seconds after it was made.
    func commitment(ageSeconds: Int) -> Commitment {
        state.withLockedValue {
            $0.commitment.ageSeconds = ageSeconds
            return $0.commitment
        }
    }

    private func change(by holder: String, _ body: (inout State) -> Void) throws(CatalogError) -> Bool {
        let outcome: Bool? = state.withLockedValue { state in
            guard !state.isAway else { return nil }
            guard state.holder == holder, !state.isFinished else { return false }
            body(&state)
            return true
        }
        guard let outcome else { throw CatalogError(.unavailable, "away") }
        return outcome
    }

    func enterCommitment(
        _ request: CommitmentRequest,
        claimedBy holder: String,
        for claim: Duration
    ) async throws(CatalogError) -> Int64? { nil }

    func claimCommitments(
        by holder: String,
        for claim: Duration,
        except running: [Int64],
        limit: Int
    ) async throws(CatalogError) -> [Commitment] { [] }

    func keepCommitment(_ id: Int64, by holder: String, for claim: Duration) async throws(CatalogError) -> Bool {
        try change(by: holder) { _ in }
    }

    func noteCommitment(_ id: Int64, by holder: String, failures: [Int]) async throws(CatalogError) -> Bool {
        try change(by: holder) { $0.commitment.failures = failures }
    }

    func postponeCommitment(
        _ id: Int64,
        by holder: String,
        for delay: Duration,
        claim: Duration,
        isAttempt: Bool,
        note: String
    ) async throws(CatalogError) -> Bool {
        try change(by: holder) {
            $0.due = delay
            $0.notes.append(note)
            if isAttempt { $0.commitment.attemptCount += 1 }
        }
    }

    func finishCommitment(_ id: Int64, by holder: String, note: String) async throws(CatalogError) -> Bool {
        try change(by: holder) {
            $0.isFinished = true
            $0.notes.append(note)
        }
    }

    func forgetCommitments(finishedBefore age: Duration) async throws(CatalogError) -> Int { 0 }
}
