// SPDX-License-Identifier: Apache-2.0

public import Placement

/// Packs that are to be read whole by request.
public struct WantedPackReadings: Hashable, Sendable {
    /// When they were wanted, in microseconds since 1970 by the database's clock: asked for what came of it.
    public var since: Int64
    public var packCount: Int
    /// Of those packs.
    public var byteCount: Int64

    public init(since: Int64, packCount: Int, byteCount: Int64) {
        self.since = since
        self.packCount = packCount
        self.byteCount = byteCount
    }
}

/// How far such readings are.
public struct PackReadings: Hashable, Sendable {
    /// Not read yet.
    public var openCount: Int
    public var soundCount: Int
    /// Damaged, or out of reach.
    public var failedCount: Int
    /// Bytes of the packs that are sound, and instances in them.
    public var byteCount: Int64
    public var instanceCount: Int

    public init(openCount: Int, soundCount: Int, failedCount: Int, byteCount: Int64, instanceCount: Int) {
        self.openCount = openCount
        self.soundCount = soundCount
        self.failedCount = failedCount
        self.byteCount = byteCount
        self.instanceCount = instanceCount
    }
}

/// A pack that was not found sound when somebody wanted it read.
public struct FailedPackReading: Sendable {
    /// The pack's id.
    public var pack: NodeID
    public var tier: String
    public var studyInstanceUID: String
    /// Whether it is damaged or gone; otherwise it could not be read.
    public var isDamaged: Bool
    /// Whether it is on a medium that is not at hand.
    public var isOffline: Bool
    public var reason: String
    /// Its instances that are counted on no node, and their SOP Instance UIDs.
    public var instances: [(record: RecordID, sopInstanceUID: String)] = []

    public init(pack: NodeID, tier: String, studyInstanceUID: String, isDamaged: Bool, isOffline: Bool, reason: String)
    {
        self.pack = pack
        self.tier = tier
        self.studyInstanceUID = studyInstanceUID
        self.isDamaged = isDamaged
        self.isOffline = isOffline
        self.reason = reason
    }
}

/// A pack that is to be read now.
public struct DuePackReading: Hashable, Sendable {
    public var pack: ColdPack
    /// How often it could not be read in turn.
    public var attemptCount: Int

    public init(pack: ColdPack, attemptCount: Int) {
        self.pack = pack
        self.attemptCount = attemptCount
    }
}
