// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import Placement

/// What a tombstone or an amendment says, apart from its payload: a fact about a record that came after it.
///
/// It is the metadata of a record of type tombstone or amendment whose record id is that of its subject. Subject, term
/// and sequence name it: on every node the same three mean the same fact.
public struct Amendment: Hashable, Sendable {
    /// What it is about; kinds that this version does not know are kept and listed.
    public struct Kind: RawRepresentable, Hashable, Sendable {
        public let rawValue: UInt16

        public init(rawValue: UInt16) { self.rawValue = rawValue }

        /// Hides the record; its reference is the permit, and it alone is a record of type tombstone.
        public static let tombstone = Kind(rawValue: 1)
        /// Takes an earlier tombstone back; its reference is the permit.
        public static let undelete = Kind(rawValue: 2)
        /// Forbids to delete the record until it is released; its reference names the hold.
        public static let hold = Kind(rawValue: 3)
        /// Ends the hold that its reference names.
        public static let release = Kind(rawValue: 4)
        /// The first of the kinds that say nothing about keeping the record.
        public static let firstOther = Kind(rawValue: 16)

        /// Whether it takes away a record, its protection or a deletion, and so is refused under an old term.
        public var isFenced: Bool { self == .tombstone || self == .undelete || self == .release }
        /// Whether it decides what may become of the record.
        public var rules: Bool { rawValue < Self.firstOther.rawValue }
    }

    /// Which of two facts is the later one.
    public struct Order: Hashable, Comparable, Sendable {
        /// The term of the coordinator that ordered it.
        public let term: Term
        /// Its number in that term.
        public let sequence: UInt64

        public init(term: Term, sequence: UInt64) {
            self.term = term
            self.sequence = sequence
        }

        public static func < (left: Self, right: Self) -> Bool {
            (left.term, left.sequence) < (right.term, right.sequence)
        }
    }

    /// A permit or a hold: 16 bytes that whoever issued it chose.
    public struct Reference: Hashable, Comparable, Sendable {
        public let high: UInt64
        public let low: UInt64

        public init(high: UInt64, low: UInt64) {
            self.high = high
            self.low = low
        }

        public static func < (left: Self, right: Self) -> Bool { (left.high, left.low) < (right.high, right.low) }
    }

    /// The number of bytes of its encoding.
    public static let byteCount = 64
    /// The largest payload.
    public static let maximumPayloadByteCount = 64 << 10
    private static let version: UInt8 = 1

    public var subject: RecordID
    public var kind: Kind
    public var order: Order
    public var reference: Reference
    /// Milliseconds since 1970, by the clock of whoever ordered it.
    public var issuedAtMilliseconds: Int64
    /// Of a tombstone: days for which the deletion can be taken back, where that is longer than the node keeps deleted records
    /// by itself.
    public var keptDays: UInt16

    public init(
        subject: RecordID,
        kind: Kind,
        order: Order,
        reference: Reference,
        issuedAtMilliseconds: Int64,
        keptDays: UInt16 = 0
    ) {
        self.subject = subject
        self.kind = kind
        self.order = order
        self.reference = reference
        self.issuedAtMilliseconds = issuedAtMilliseconds
        self.keptDays = keptDays
    }

    /// The type of the record that it is the metadata of.
    public var recordType: RecordType { kind == .tombstone ? .tombstone : .amendment }

    /// The 64 bytes of metadata; the subject is the record id.
    public func encoded() -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(Self.byteCount)
        buffer.writeLittle(Self.version)
        buffer.writeZeros(1)
        buffer.writeLittle(kind.rawValue)
        buffer.writeLittle(keptDays)
        buffer.writeZeros(2)
        buffer.writeLittle(order.term.rawValue)
        buffer.writeLittle(order.sequence)
        buffer.writeLittle(issuedAtMilliseconds)
        buffer.writeHalves(high: reference.high, low: reference.low)
        buffer.writeZeros(16)
        return buffer
    }

    /// Reads the metadata of a record of type `type` whose id is `subject`.
    public init(decoding metadata: ByteBuffer, subject: RecordID, type: RecordType) throws(SegmentFormatError) {
        guard metadata.readableBytes == Self.byteCount else {
            throw SegmentFormatError(.malformed, "amendment has \(metadata.readableBytes) bytes of metadata")
        }
        var fields = FieldReader(metadata, of: "amendment")
        let version: UInt8 = try fields.next()
        guard version == Self.version else {
            throw SegmentFormatError(.unsupportedVersion, "amendment has version \(version)")
        }
        try fields.skip(1)
        let kind = Kind(rawValue: try fields.next())
        let keptDays: UInt16 = try fields.next()
        try fields.skip(2)
        let term = Term(rawValue: try fields.next())
        let sequence: UInt64 = try fields.next()
        let issued: Int64 = try fields.next()
        let reference = try fields.nextHalves()
        self.init(
            subject: subject,
            kind: kind,
            order: Order(term: term, sequence: sequence),
            reference: Reference(high: reference.high, low: reference.low),
            issuedAtMilliseconds: issued,
            keptDays: keptDays
        )
        guard recordType == type else {
            throw SegmentFormatError(.malformed, "amendment of kind \(kind.rawValue) has record type \(type.rawValue)")
        }
    }
}
