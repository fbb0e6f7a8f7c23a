// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// An entry whose caller waits for the outcome.
struct PendingEntry: Sendable {
    let prepared: PreparedEntry
    let deadline: NIODeadline
    private let continuation: CheckedContinuation<Result<CommitOutcome, CatalogError>, Never>

    init(
        _ prepared: PreparedEntry,
        deadline: NIODeadline,
        continuation: CheckedContinuation<Result<CommitOutcome, CatalogError>, Never>
    ) {
        self.prepared = prepared
        self.deadline = deadline
        self.continuation = continuation
    }

    /// Answers the caller; once.
    func finish(_ outcome: CommitOutcome) { continuation.resume(returning: .success(outcome)) }

    /// Answers the caller; once.
    func fail(_ error: CatalogError) { continuation.resume(returning: .failure(error)) }
}
