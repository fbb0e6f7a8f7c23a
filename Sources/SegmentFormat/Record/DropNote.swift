// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import Placement

/// Where in a store a record begins; no two records ever have the same place, because segment numbers are not used again.
public struct SegmentPlace: Hashable, Comparable, Sendable {
    public let segment: SegmentID
    public let offset: UInt64

    public init(segment: SegmentID, offset: UInt64) {
        self.segment = segment
        self.offset = offset
    }

    public static func < (left: Self, right: Self) -> Bool {
        (left.segment, left.offset) < (right.segment, right.offset)
    }
}

/// That the copies of a record at certain places of this store do not count any more, because others are elsewhere.
///
/// It is the metadata of a record of type drop whose id is that of the record. It names places and not only the id, so that it
/// says nothing about a copy that is stored later, in whatever order segments are read.
/// docs/decisions/0048-dropping-one-copy.md
public struct DropNote: Hashable, Sendable {
    /// The most places that one note names.
    public static let maximumPlaceCount = 64
    private static let version: UInt8 = 1
    private static let fixedByteCount = 32
    private static let placeByteCount = 16

    /// The term of the coordinator that ordered it.
    public var term: Term
    /// What it permitted that with.
    public var permit: Amendment.Reference
    /// Every place that the record had in the store.
    public var places: [SegmentPlace]

    /// A note about 1 to `maximumPlaceCount` places.
    public init(term: Term, permit: Amendment.Reference, places: [SegmentPlace]) {
        precondition((1...Self.maximumPlaceCount).contains(places.count), "whoever makes a note counts its places")
        self.term = term
        self.permit = permit
        self.places = places
    }

    /// The metadata: 32 bytes, and 16 for each place.
    public func encoded() -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(Self.fixedByteCount + places.count * Self.placeByteCount)
        buffer.writeLittle(Self.version)
        buffer.writeZeros(1)
        buffer.writeLittle(UInt16(places.count))
        buffer.writeZeros(4)
        buffer.writeLittle(term.rawValue)
        buffer.writeHalves(high: permit.high, low: permit.low)
        for place in places {
            buffer.writeLittle(place.segment.rawValue)
            buffer.writeLittle(place.offset)
        }
        return buffer
    }

    /// Reads the metadata of a record of type drop.
    public init(decoding metadata: ByteBuffer) throws(SegmentFormatError) {
        var fields = FieldReader(metadata, of: "drop note")
        let version: UInt8 = try fields.next()
        guard version == Self.version else {
            throw SegmentFormatError(.unsupportedVersion, "drop note has version \(version)")
        }
        try fields.skip(1)
        let count: UInt16 = try fields.next()
        guard (1...Self.maximumPlaceCount).contains(Int(count)) else {
            throw SegmentFormatError(.limitExceeded, "drop note names \(count) places")
        }
        try fields.skip(4)
        let term = Term(rawValue: try fields.next())
        let permit = try fields.nextHalves()
        var places: [SegmentPlace] = []
        for _ in 0..<count {
            let segment = SegmentID(rawValue: try fields.next())
            places.append(SegmentPlace(segment: segment, offset: try fields.next()))
        }
        guard fields.remainingByteCount == 0 else {
            throw SegmentFormatError(.malformed, "drop note has \(fields.remainingByteCount) bytes too many")
        }
        self.init(term: term, permit: Amendment.Reference(high: permit.high, low: permit.low), places: places)
    }
}
