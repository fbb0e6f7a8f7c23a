// SPDX-License-Identifier: Apache-2.0

public import Placement
public import SegmentFormat

/// What is known of a damaged range of a segment: what to fetch from other nodes.
public struct DamagedRange: Hashable, Sendable {
    public var quarantined: QuarantinedRange
    /// The records that were there and are not stored soundly elsewhere in this store, in order.
    public var missing: [RecordID]
    /// Whether `missing` names all; else only a comparison with a peer tells what is missing.
    public var isComplete: Bool
    /// Whether a record that counts is in the range itself, sound: the disk gives again what it did not give before.
    public var holdsSound = false
}

/// A place in a store's damaged ranges, which are in the order of their segments and offsets.
public struct DamagePosition: Hashable, Sendable {
    public var segment: SegmentID
    public var offset: UInt64
    /// The records of the range at this offset up to this one lie before the place.
    public var after: RecordID?

    public init(segment: SegmentID, offset: UInt64, after: RecordID? = nil) {
        self.segment = segment
        self.offset = offset
        self.after = after
    }

    func isBeyond(_ range: QuarantinedRange) -> Bool {
        (range.segment, range.range.lowerBound) < (segment, offset)
    }

    func isIn(_ range: QuarantinedRange) -> Bool {
        (range.segment, range.range.lowerBound) == (segment, offset)
    }
}

/// Some of a store's damaged ranges.
public struct DamagePage: Hashable, Sendable {
    public var ranges: [DamagedRange]
    /// Where the next page begins; `nil` after the last.
    public var next: DamagePosition?
    /// Stands for the damaged ranges of all pages whose records are not known by name: it is another number whenever
    /// such a range is found or cleared, and whenever the store is opened.
    public var unnamed: UInt64
}
