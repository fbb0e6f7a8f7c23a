// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import Placement

/// What an amendment says; kinds that this version does not know are kept.
///
/// The highest bit is set in those that take protection away: they need a coordinator's term.
public struct AmendmentKind: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// The record must not be removed.
    public static let hold = AmendmentKind(rawValue: 0x01)
    /// Corrected attributes.
    public static let correction = AmendmentKind(rawValue: 0x02)
    /// The record must be kept until a date.
    public static let retention = AmendmentKind(rawValue: 0x03)
    /// A hold is lifted.
    public static let holdRelease = AmendmentKind(rawValue: 0x81)
    /// The record must be kept until an earlier date than was said before.
    public static let retentionReduction = AmendmentKind(rawValue: 0x83)

    /// Whether it takes protection away.
    public var removesProtection: Bool { rawValue & 0x80 != 0 }
}

/// A fact about a record that is not in the record: one of a sequence, of which the later ones count.
public struct Amendment: Hashable, Sendable {
    /// The most bytes of `payload`.
    public static let maximumPayloadByteCount = 64 * 1024
    static let fixedByteCount = 40

    public var recordID: RecordID
    /// Its number among the record's amendments, given by whoever made it; rises, gaps are allowed.
    public var sequence: UInt64
    public var kind: AmendmentKind
    /// The coordinator's term; always there when `kind` takes protection away.
    public var term: Term?
    public var payload: ByteBuffer

    public init(recordID: RecordID, sequence: UInt64, kind: AmendmentKind, term: Term?, payload: ByteBuffer) {
        self.recordID = recordID
        self.sequence = sequence
        self.kind = kind
        self.term = term
        self.payload = payload
    }
}

/// AMEND: adds an amendment, whether or not the node has the record.
public struct AmendRequest: Hashable, Sendable {
    public var amendment: Amendment
    public var mapEpoch: MapEpoch
    public var timeoutMilliseconds: UInt32

    public init(_ amendment: Amendment, mapEpoch: MapEpoch, timeoutMilliseconds: UInt32 = 0) {
        self.amendment = amendment
        self.mapEpoch = mapEpoch
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// AMENDMENTS: asks for the amendments of the records of one group in a range of ids, ascending by id and sequence.
public struct AmendmentsRequest: Hashable, Sendable {
    /// The most amendments one answer holds.
    public static let maximumCount = 1024

    /// The first and last record, both in one group.
    public var first: RecordID
    /// Of `first`, only amendments with this sequence or a higher one.
    public var firstSequence: UInt64
    public var last: RecordID
    /// At most so many, from 1 to `maximumCount`.
    public var limit: Int
    public var timeoutMilliseconds: UInt32

    public init(
        first: RecordID,
        firstSequence: UInt64 = 0,
        last: RecordID,
        limit: Int = Self.maximumCount,
        timeoutMilliseconds: UInt32 = 0
    ) {
        self.first = first
        self.firstSequence = firstSequence
        self.last = last
        self.limit = limit
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// AMENDMENTS-RESULT: amendments in ascending order of record id and sequence.
public struct AmendmentPage: Hashable, Sendable {
    static let fixedByteCount = 1

    public private(set) var amendments: [Amendment]
    /// Whether the range has more than these.
    public private(set) var hasMore: Bool

    /// A page as it came.
    public init(_ amendments: [Amendment], hasMore: Bool) {
        self.amendments = amendments
        self.hasMore = hasMore
    }

    /// As many of `amendments` as fit into one message; `hasMore` says whether the range has more than all of them.
    public init(fitting amendments: [Amendment], hasMore: Bool) {
        var byteCount = Self.fixedByteCount
        let fitting = amendments.prefix { amendment in
            byteCount += Amendment.fixedByteCount + amendment.payload.readableBytes
            return byteCount <= MessageHeader.maximumPayloadByteCount
        }
        self.amendments = Array(fitting)
        self.hasMore = hasMore || fitting.count < amendments.count
    }
}
