// SPDX-License-Identifier: Apache-2.0

public import Placement

/// A place in a node's list of damage, which only the node can read: where a page begins.
public struct DamageCursor: Hashable, Sendable {
    public var disk: UInt64
    public var segment: UInt64
    public var offset: UInt64
    /// The last record named of what is there; `nil` before the first.
    public var after: RecordID?

    public init(disk: UInt64, segment: UInt64, offset: UInt64, after: RecordID? = nil) {
        self.disk = disk
        self.segment = segment
        self.offset = offset
        self.after = after
    }

    /// Before all damage.
    public static let start = DamageCursor(disk: 0, segment: 0, offset: 0)
}

/// DAMAGE: asks which records a node misses because its disks gave back something else than was written.
public struct DamageRequest: Hashable, Sendable {
    /// The most ids in an answer.
    public static let maximumCount = 4096

    public var first: DamageCursor
    /// The most ids in the answer; 1 to ``maximumCount``.
    public var limit: Int
    public var timeoutMilliseconds: UInt32

    public init(first: DamageCursor, limit: Int, timeoutMilliseconds: UInt32 = 0) {
        self.first = first
        self.limit = limit
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// DAMAGE-RESULT: records to be fetched from other nodes, and whether these are all.
public struct DamageReport: Hashable, Sendable {
    /// What is missing, without order; a record may be named twice.
    public var missing: [RecordID]
    /// Whether all that is missing in the damaged ranges of this page is named.
    public var isComplete: Bool
    /// Where to ask on; `nil` after the last page.
    public var next: DamageCursor?
    /// Stands for all damage of the node whose records are not known by name; another number when that changes.
    public var unnamed: UInt64

    public init(missing: [RecordID], isComplete: Bool, next: DamageCursor?, unnamed: UInt64) {
        self.missing = missing
        self.isComplete = isComplete
        self.next = next
        self.unnamed = unnamed
    }
}

/// HEALED: a node may forget damage that misses nothing any more.
public struct HealedRequest: Hashable, Sendable {
    public var stamp: OrderStamp
    /// The damage without names that the coordinator knew of when it began to compare the node with its peers and to
    /// fetch all that it lacked; `nil` when it did not.
    public var reconciled: UInt64?
    public var timeoutMilliseconds: UInt32

    public init(stamp: OrderStamp, reconciled: UInt64?, timeoutMilliseconds: UInt32 = 0) {
        self.stamp = stamp
        self.reconciled = reconciled
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}
