// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import Placement

/// A permit or a hold: 16 bytes that whoever issued it chose; the catalog knows it by them.
public struct ReferenceID: Hashable, Sendable {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

/// A fact about a record that came after it: its deletion, a hold, a correction.
///
/// Record, term and sequence name it: on every node the same three mean the same fact.
public struct RecordAmendment: Hashable, Sendable {
    /// What it says; kinds that this version does not know are kept and listed (docs/formats/segment.md).
    public struct Kind: RawRepresentable, Hashable, Sendable {
        public let rawValue: UInt16

        public init(rawValue: UInt16) { self.rawValue = rawValue }

        /// Deletes the record; its reference is the permit.
        public static let tombstone = Kind(rawValue: 1)
        /// Takes an earlier tombstone back; its reference is the permit.
        public static let undelete = Kind(rawValue: 2)
        /// Forbids to delete the record; its reference names the hold.
        public static let hold = Kind(rawValue: 3)
        /// Ends the hold that its reference names.
        public static let release = Kind(rawValue: 4)
        /// The first of the kinds that do not decide what becomes of the record.
        public static let firstOther = Kind(rawValue: 16)

        /// Whether it takes away a record, its protection or a deletion; so do kinds below `firstOther` that are not known.
        public var isFenced: Bool { self != .hold && rawValue < Self.firstOther.rawValue }
    }

    /// Which of two facts is the later one: the term of the coordinator that ordered it, and its number in that term.
    public struct Order: Hashable, Comparable, Sendable {
        public var term: Term
        public var sequence: UInt64

        public init(term: Term, sequence: UInt64) {
            self.term = term
            self.sequence = sequence
        }

        public static func < (left: Self, right: Self) -> Bool {
            (left.term, left.sequence) < (right.term, right.sequence)
        }
    }

    /// The most bytes of `payload`.
    public static let maximumPayloadByteCount = 64 * 1024
    static let fixedByteCount = 64

    public var recordID: RecordID
    public var kind: Kind
    public var order: Order
    public var reference: ReferenceID
    /// Milliseconds since 1970 UTC, by the clock of whoever ordered it.
    public var issuedAtMilliseconds: Int64
    /// Of a tombstone: days for which it can be taken back, where that is longer than nodes keep deleted records by themselves.
    public var keptDays: UInt16
    /// A reason, or what the kind calls for.
    public var payload: ByteBuffer

    public init(
        recordID: RecordID,
        kind: Kind,
        order: Order,
        reference: ReferenceID,
        issuedAtMilliseconds: Int64,
        keptDays: UInt16 = 0,
        payload: ByteBuffer = ByteBuffer()
    ) {
        self.recordID = recordID
        self.kind = kind
        self.order = order
        self.reference = reference
        self.issuedAtMilliseconds = issuedAtMilliseconds
        self.keptDays = keptDays
        self.payload = payload
    }
}

/// AMEND: adds an amendment, whether or not the node has the record.
public struct AmendRequest: Hashable, Sendable {
    public var amendment: RecordAmendment
    /// Who orders it now; whoever ordered it first may have had an earlier term.
    public var stamp: OrderStamp
    public var timeoutMilliseconds: UInt32

    public init(_ amendment: RecordAmendment, _ stamp: OrderStamp, timeoutMilliseconds: UInt32 = 0) {
        self.amendment = amendment
        self.stamp = stamp
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// AMENDMENTS: asks for the amendments of the records of one group in a range of ids, ascending by id and order.
public struct AmendmentsRequest: Hashable, Sendable {
    /// The most amendments one answer holds.
    public static let maximumCount = 1024

    /// The first and the last record, both in one group.
    public var first: RecordID
    public var last: RecordID
    /// Of `first`, only this amendment and later ones.
    public var firstOrder: RecordAmendment.Order
    /// At most so many, from 1 to `maximumCount`.
    public var limit: Int
    public var timeoutMilliseconds: UInt32

    public init(
        first: RecordID,
        firstOrder: RecordAmendment.Order = RecordAmendment.Order(term: Term(rawValue: 0), sequence: 0),
        last: RecordID,
        limit: Int = Self.maximumCount,
        timeoutMilliseconds: UInt32 = 0
    ) {
        self.first = first
        self.firstOrder = firstOrder
        self.last = last
        self.limit = limit
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// AMENDMENTS-RESULT: amendments in ascending order of record id, term and sequence.
public struct AmendmentPage: Hashable, Sendable {
    static let fixedByteCount = 2

    public private(set) var amendments: [RecordAmendment]
    /// Whether the range has more than these.
    public private(set) var hasMore: Bool
    /// Whether these are all from the first to the last of them, or to the end; else the node has some that it cannot read.
    public private(set) var isComplete: Bool

    /// A page as it came.
    public init(_ amendments: [RecordAmendment], hasMore: Bool, isComplete: Bool = true) {
        self.amendments = amendments
        self.hasMore = hasMore
        self.isComplete = isComplete
    }

    /// As many of `amendments` as fit into one message; `hasMore` says whether the range has more than all of them.
    public init(fitting amendments: [RecordAmendment], hasMore: Bool, isComplete: Bool = true) {
        var byteCount = Self.fixedByteCount
        let fitting = amendments.prefix { amendment in
            byteCount += RecordAmendment.fixedByteCount + amendment.payload.readableBytes
            return byteCount <= MessageHeader.maximumPayloadByteCount
        }
        self.amendments = Array(fitting)
        self.hasMore = hasMore || fitting.count < amendments.count
        self.isComplete = isComplete
    }
}
