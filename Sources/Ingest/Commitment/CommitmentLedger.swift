// SPDX-License-Identifier: Apache-2.0

package import Catalog

/// Where requests for commitment are kept, as the catalog does.
package protocol CommitmentLedger: Sendable {
    func enterCommitment(
        _ request: CommitmentRequest,
        claimedBy holder: String,
        for claim: Duration
    ) async throws(CatalogError) -> Int64?

    func claimCommitments(
        by holder: String,
        for claim: Duration,
        except running: [Int64],
        limit: Int
    ) async throws(CatalogError) -> [Commitment]

    func keepCommitment(_ id: Int64, by holder: String, for claim: Duration) async throws(CatalogError) -> Bool

    func noteCommitment(_ id: Int64, by holder: String, failures: [Int]) async throws(CatalogError) -> Bool

    func postponeCommitment(
        _ id: Int64,
        by holder: String,
        for delay: Duration,
        claim: Duration,
        isAttempt: Bool,
        note: String
    ) async throws(CatalogError) -> Bool

    func finishCommitment(_ id: Int64, by holder: String, note: String) async throws(CatalogError) -> Bool

    func forgetCommitments(finishedBefore age: Duration) async throws(CatalogError) -> Int
}

extension Catalog: CommitmentLedger {}
