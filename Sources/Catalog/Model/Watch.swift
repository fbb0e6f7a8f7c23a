// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import Placement

/// An accepted instance that is fetched again later, as it was known when it was accepted.
public struct WatchedInstance: Sendable, Hashable {
    public var studyInstanceUID: String
    public var seriesInstanceUID: String
    public var sopInstanceUID: String
    public var recordID: RecordID
    public var receivedTransferSyntax: String
    public var storedTransferSyntax: String
    /// SHA-256 of what was received, and of its native pixel data where it was compressed.
    public var contentDigest: SHA256Digest
    public var pixelDigest: SHA256Digest?
    /// Whether it was accepted while the catalog was away, which may refuse it later.
    public var isNoted: Bool

    public init(_ entry: InstanceEntry, isNoted: Bool) {
        self.studyInstanceUID = entry.study.studyInstanceUID
        self.seriesInstanceUID = entry.series.seriesInstanceUID
        self.sopInstanceUID = entry.instance.sopInstanceUID
        self.recordID = entry.recordID
        self.receivedTransferSyntax = entry.receivedTransferSyntax
        self.storedTransferSyntax = entry.storedTransferSyntax
        self.contentDigest = entry.contentDigest
        self.pixelDigest = entry.pixelDigest
        self.isNoted = isNoted
    }
}

/// A look at a sample that is due, as whoever has claimed it knows it.
public struct WatchLook: Sendable, Hashable {
    public var id: Int64
    public var instance: WatchedInstance
    /// The age for which it is, in seconds: one of those configured when the look was planned.
    public var plannedAgeSeconds: Int
    /// Seconds since the instance was accepted.
    public var ageSeconds: Int
    /// Failures in a row before this look, and seconds since the first of them.
    public var failureCount: Int
    public var failingSeconds: Int
    public var isAlarm: Bool

    public init(
        id: Int64,
        instance: WatchedInstance,
        plannedAgeSeconds: Int,
        ageSeconds: Int,
        failureCount: Int = 0,
        failingSeconds: Int = 0,
        isAlarm: Bool = false
    ) {
        self.id = id
        self.instance = instance
        self.plannedAgeSeconds = plannedAgeSeconds
        self.ageSeconds = ageSeconds
        self.failureCount = failureCount
        self.failingSeconds = failingSeconds
        self.isAlarm = isAlarm
    }
}

/// All samples together.
public struct WatchOverview: Sendable, Hashable {
    public var sampleCount: Int
    /// Seconds since the oldest look was due that nobody has finished; 0 when none is.
    public var overdueSeconds: Int
    public var alarmCount: Int

    public init(sampleCount: Int = 0, overdueSeconds: Int = 0, alarmCount: Int = 0) {
        self.sampleCount = sampleCount
        self.overdueSeconds = overdueSeconds
        self.alarmCount = alarmCount
    }
}

/// A sample that does not come back as it was accepted.
public struct WatchAlarm: Sendable, Hashable {
    public var studyInstanceUID: String
    public var sopInstanceUID: String
    public var recordID: RecordID
    /// What the last look found, as ``Catalog/failLook(_:by:as:note:isAlarm:retryAfter:)`` was told.
    public var failure: String
    public var note: String
    /// Milliseconds since 1970: when it was accepted, when the first look failed.
    public var acceptedAtMilliseconds: Int64
    public var failingSinceMilliseconds: Int64
    /// Looks that failed.
    public var failureCount: Int
}
