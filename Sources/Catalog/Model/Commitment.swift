// SPDX-License-Identifier: Apache-2.0

/// An instance that somebody wants committed.
public struct CommitmentInstance: Sendable, Hashable {
    public var sopClassUID: String
    public var sopInstanceUID: String

    public init(sopClassUID: String, sopInstanceUID: String) {
        self.sopClassUID = sopClassUID
        self.sopInstanceUID = sopInstanceUID
    }
}

/// What is asked for by one transaction of storage commitment.
public struct CommitmentRequest: Sendable, Hashable {
    /// The AE title that asked, and the one it called.
    public var requestor: String
    public var called: String
    /// Transaction UID (0008,1195).
    public var transactionUID: String
    /// Each once.
    public var instances: [CommitmentInstance]

    public init(requestor: String, called: String, transactionUID: String, instances: [CommitmentInstance]) {
        self.requestor = requestor
        self.called = called
        self.transactionUID = transactionUID
        self.instances = instances
    }
}

/// A request that is not reported yet, as whoever works on it has it.
public struct Commitment: Sendable, Hashable {
    public var id: Int64
    public var request: CommitmentRequest
    /// Seconds since it was asked for.
    public var ageSeconds: Int
    /// Reports that were tried.
    public var attemptCount: Int
    /// One for each instance: 0, the Failure Reason (0008,1197), or -1 where it is not decided yet; nil before they were
    /// looked at.
    public var failures: [Int]?
    /// Seconds since they were looked at.
    public var resultAgeSeconds: Int

    public init(
        id: Int64,
        request: CommitmentRequest,
        ageSeconds: Int = 0,
        attemptCount: Int = 0,
        failures: [Int]? = nil,
        resultAgeSeconds: Int = 0
    ) {
        self.id = id
        self.request = request
        self.ageSeconds = ageSeconds
        self.attemptCount = attemptCount
        self.failures = failures
        self.resultAgeSeconds = resultAgeSeconds
    }
}
