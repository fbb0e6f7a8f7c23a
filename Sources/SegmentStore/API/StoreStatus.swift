// SPDX-License-Identifier: Apache-2.0

public import Placement
public import SegmentFormat

/// A range of a segment whose records can't be read.
public struct QuarantinedRange: Hashable, Sendable {
    public var segment: SegmentID
    public var range: Range<UInt64>
    public var kind: UnreadableRange.Kind
    /// The record that is there, when it is one and its id is known.
    public var record: RecordID?

    public init(segment: SegmentID, range: Range<UInt64>, kind: UnreadableRange.Kind, record: RecordID? = nil) {
        self.segment = segment
        self.range = range
        self.kind = kind
        self.record = record
    }

    init(_ segment: SegmentID, _ unreadable: UnreadableRange) {
        self.init(segment: segment, range: unreadable.range, kind: unreadable.kind, record: unreadable.record)
    }

    var unreadable: UnreadableRange { UnreadableRange(range: range, kind: kind, record: record) }
}

/// A segment that nothing needs any more and that waits for a permit to be removed.
public struct TrashedSegment: Hashable, Sendable {
    public var segment: SegmentID
    /// Milliseconds since 1970.
    public var retiredAtMilliseconds: Int64
    /// When it may be purged at the earliest, in milliseconds since 1970.
    public var purgeableAtMilliseconds: Int64
}

/// How a store is.
public struct StoreStatus: Sendable {
    /// The records that are stored and not deleted.
    public var recordCount: Int
    /// The bytes of all segments.
    public var usedBytes: UInt64
    /// The free bytes of the disk.
    public var freeBytes: UInt64
    public var acceptsWrites: Bool
    /// Whether tombstones and amendments are taken: also when the disk is too full for other records.
    public var acceptsAmendments: Bool
    /// Why records are not taken, or why fewer are.
    public var reason: String?
    /// What can't be read, as found when the store was opened and by reads since.
    public var quarantinedRanges: [QuarantinedRange]
    /// Whether acknowledged records may be missing: "not found" then means "unknown".
    public var isUncertain: Bool
    /// The highest term of a coordinator that was heard of.
    public var highestTerm: Term
    /// The age of the byte that was read and checked (or written) the longest time ago; more than the scrub deadline
    /// means that checking does not keep up.
    public var oldestUnchecked: Duration
    /// Segments in the trash, in order.
    public var trash: [TrashedSegment]
    /// The number of syncs of segments since the store was opened.
    public var batchCount: UInt64
    /// The number of records written since the store was opened.
    public var writtenRecordCount: UInt64
}
