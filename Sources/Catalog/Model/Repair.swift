// SPDX-License-Identifier: Apache-2.0

public import Placement

/// The nodes that have the copies of the instances of one placement group, and the number the catalog knows them by.
public struct PlacedGroup: Hashable, Sendable {
    public var placement: Int32
    public var nodes: [NodeID]
    public var group: PlacementGroup

    public init(placement: Int32, nodes: [NodeID], group: PlacementGroup) {
        self.placement = placement
        self.nodes = nodes
        self.group = group
    }
}

/// Where copies are not as wanted, as a survey found it.
public struct RepairDifference: Hashable, Sendable {
    /// Numbers as the planner has them; they are stored.
    public var kind: UInt8
    /// Why nothing can be done; 0 when something can.
    public var obstacle: UInt8
    public var placement: Int32
    public var group: PlacementGroup
    /// Copies that can be read.
    public var livingCount: Int
    /// Whether those are fewer than wanted.
    public var isShort: Bool
    /// Where the next copy goes.
    public var target: NodeID?

    public init(
        kind: UInt8,
        obstacle: UInt8 = 0,
        placement: Int32,
        group: PlacementGroup,
        livingCount: Int,
        isShort: Bool,
        target: NodeID? = nil
    ) {
        self.kind = kind
        self.obstacle = obstacle
        self.placement = placement
        self.group = group
        self.livingCount = livingCount
        self.isShort = isShort
        self.target = target
    }
}

/// What became of entering a set's records into the queue.
public enum EnqueuedRepairs: Hashable, Sendable {
    /// So many were looked at, of which this was the last; there may be more behind it when that is as many as asked for.
    case upTo(RecordID?, count: Int)
    /// The queue has enough of that urgency.
    case full
}

/// One copy of one record that is to be made, taken up by the coordinator in office.
public struct RepairItem: Hashable, Sendable {
    public var record: RecordID
    public var kind: UInt8
    public var livingCount: Int
    /// Bytes of the payload.
    public var byteCount: Int64
    /// Times that it could not be done.
    public var attemptCount: Int
    /// Where the instance's copies are now; nil when it has been deleted.
    public var placement: Int32?
    public var nodes: [NodeID]

    public init(
        record: RecordID,
        kind: UInt8,
        livingCount: Int,
        byteCount: Int64,
        attemptCount: Int = 0,
        placement: Int32?,
        nodes: [NodeID]
    ) {
        self.record = record
        self.kind = kind
        self.livingCount = livingCount
        self.byteCount = byteCount
        self.attemptCount = attemptCount
        self.placement = placement
        self.nodes = nodes
    }
}

/// A copy that has been made: the instance's nodes were those of `placement`, and are now those of `newPlacement`.
public struct CountedRepair: Hashable, Sendable {
    public var record: RecordID
    public var placement: Int32
    public var newPlacement: Int32

    public init(record: RecordID, placement: Int32, newPlacement: Int32) {
        self.record = record
        self.placement = placement
        self.newPlacement = newPlacement
    }
}

/// A copy that could not be made.
public struct PostponedRepair: Hashable, Sendable {
    public var record: RecordID
    /// When it is tried again; nil: when a person has looked at it.
    public var pause: Duration?
    public var attemptCount: Int
    /// Why; for people.
    public var note: String

    public init(record: RecordID, pause: Duration?, attemptCount: Int, note: String) {
        self.record = record
        self.pause = pause
        self.attemptCount = attemptCount
        self.note = note
    }
}
