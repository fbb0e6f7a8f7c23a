// SPDX-License-Identifier: Apache-2.0

public import Placement

/// An instance that has a copy too many.
public struct SurplusRecord: Hashable, Sendable {
    public var record: RecordID
    /// Bytes of the payload.
    public var byteCount: Int64
    /// Times that it could not be dropped.
    public var attemptCount: Int

    public init(record: RecordID, byteCount: Int64, attemptCount: Int = 0) {
        self.record = record
        self.byteCount = byteCount
        self.attemptCount = attemptCount
    }
}

/// A copy that its node was told to drop, or was to be told, and that it has not confirmed.
public struct UnconfirmedDrop: Hashable, Sendable {
    public var record: RecordID
    public var node: NodeID
    public var attemptCount: Int
    /// Where the instance's copies are counted now.
    public var placement: Int32
    public var nodes: [NodeID]
    /// Whether the record is in a cold pack that is known to be sound; only said of what is counted nowhere.
    public var isInSoundPack: Bool

    /// Whether the instance is in cold packs only.
    public var isCold: Bool { nodes.isEmpty }

    public init(
        record: RecordID,
        node: NodeID,
        attemptCount: Int,
        placement: Int32,
        nodes: [NodeID],
        isInSoundPack: Bool = false
    ) {
        self.record = record
        self.node = node
        self.attemptCount = attemptCount
        self.placement = placement
        self.nodes = nodes
        self.isInSoundPack = isInSoundPack
    }
}
