// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import Placement

/// The identity of a run of the operating system, from which a store tells a crash of the process (the page cache
/// lived on) from one of the machine.
public struct BootID: Hashable, Sendable {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }
}

/// One durable fact about a store's segments.
public enum ManifestEntry: Hashable, Sendable {
    /// A process took the store into use; without a later `closed` it stopped uncleanly.
    case opened(BootID)
    /// Segment numbers below this may have been used.
    case reserved(below: SegmentID)
    /// A segment for many records was created and is the active one.
    case created(SegmentID)
    /// A segment is complete: its footer begins at `footerOffset`.
    case sealed(SegmentID, SegmentClass, footerOffset: UInt64)
    /// A segment that was active at an unclean stop was scanned: its records end at `end`, and it takes no more.
    case recovered(SegmentID, end: UInt64)
    /// A range of a segment was found unreadable.
    case unreadable(SegmentID, UnreadableRange)
    /// A write to or a sync of a segment failed.
    case writeFailed(SegmentID)
    /// A process left the store in order.
    case closed
    /// Acknowledged records may be missing, until `reconciled`.
    case uncertain
    /// What may be missing was compared with a peer: the store is complete again.
    case reconciled
    /// A coordinator of this term has been heard of: lower ones are refused.
    case term(Term)
    /// All that an unreadable range held is stored elsewhere: damage found there later is this one.
    case healed(SegmentID, UnreadableRange)
    /// All that was then in a segment was read and checked, at this time in milliseconds since 1970.
    case scrubbed(SegmentID, atMilliseconds: Int64)
    /// Nothing in a segment counts any more: its file goes to the trash. The time is in milliseconds since 1970.
    case retired(SegmentID, atMilliseconds: Int64)
    /// The file of a retired segment is removed for good, with this permit.
    case purged(SegmentID, permit: Amendment.Reference)
    /// An unreadable range holds sound records after all: damage found there later is another.
    case sound(SegmentID, UnreadableRange)
    /// Records of type drop may be in segments: a program that does not know them must not read the store.
    case drops

    /// The number of bytes of an entry.
    static let byteCount = 48

    private struct Fields {
        var kind: UInt8
        var detail: UInt8 = 0
        var segment: UInt64 = 0
        var first: UInt64 = 0
        var second: UInt64 = 0
        /// 16 bytes: a record id or a permit.
        var name: (high: UInt64, low: UInt64) = (0, 0)

        init(kind: UInt8, detail: UInt8 = 0, segment: UInt64 = 0, first: UInt64 = 0, second: UInt64 = 0) {
            self.kind = kind
            self.detail = detail
            self.segment = segment
            self.first = first
            self.second = second
        }

        init(kind: UInt8, _ segment: SegmentID, _ permit: Amendment.Reference) {
            self.init(kind: kind, segment: segment.rawValue)
            self.name = (permit.high, permit.low)
        }

        init(kind: UInt8, _ segment: SegmentID, _ unreadable: UnreadableRange) {
            self.init(
                kind: kind,
                detail: unreadable.kind.rawValue,
                segment: segment.rawValue,
                first: unreadable.range.lowerBound,
                second: unreadable.range.upperBound
            )
            if let record = unreadable.record { self.name = (record.high, record.low) }
        }
    }

    private var fields: Fields {
        switch self {
        case .opened(let boot): Fields(kind: 1, first: boot.high, second: boot.low)
        case .reserved(let below): Fields(kind: 2, segment: below.rawValue)
        case .created(let segment): Fields(kind: 3, segment: segment.rawValue)
        case .sealed(let segment, let segmentClass, let footerOffset):
            Fields(kind: 4, detail: segmentClass.rawValue, segment: segment.rawValue, first: footerOffset)
        case .recovered(let segment, let end): Fields(kind: 5, segment: segment.rawValue, first: end)
        case .unreadable(let segment, let unreadable): Fields(kind: 6, segment, unreadable)
        case .writeFailed(let segment): Fields(kind: 7, segment: segment.rawValue)
        case .closed: Fields(kind: 8)
        case .uncertain: Fields(kind: 9)
        case .reconciled: Fields(kind: 10)
        case .term(let term): Fields(kind: 11, first: term.rawValue)
        case .healed(let segment, let unreadable): Fields(kind: 12, segment, unreadable)
        case .scrubbed(let segment, let time):
            Fields(kind: 13, segment: segment.rawValue, first: UInt64(bitPattern: time))
        case .retired(let segment, let time):
            Fields(kind: 14, segment: segment.rawValue, first: UInt64(bitPattern: time))
        case .purged(let segment, let permit): Fields(kind: 15, segment, permit)
        case .sound(let segment, let unreadable): Fields(kind: 16, segment, unreadable)
        case .drops: Fields(kind: 17)
        }
    }

    func encode(into buffer: inout ByteBuffer) {
        let fields = fields
        buffer.writeLittle(fields.kind)
        buffer.writeLittle(fields.detail)
        buffer.writeZeros(6)
        buffer.writeLittle(fields.segment)
        buffer.writeLittle(fields.first)
        buffer.writeLittle(fields.second)
        buffer.writeHalves(high: fields.name.high, low: fields.name.low)
    }

    init(decoding reader: inout FieldReader) throws(SegmentFormatError) {
        let kind: UInt8 = try reader.next()
        let detail: UInt8 = try reader.next()
        try reader.skip(6)
        let segment = SegmentID(rawValue: try reader.next())
        let first: UInt64 = try reader.next()
        let second: UInt64 = try reader.next()
        let name = try reader.nextHalves()
        switch kind {
        case 1: self = .opened(BootID(high: first, low: second))
        case 2: self = .reserved(below: segment)
        case 3: self = .created(segment)
        case 4:
            guard let segmentClass = SegmentClass(rawValue: detail) else {
                throw SegmentFormatError(.malformed, "manifest seals a segment of class \(detail)")
            }
            self = .sealed(segment, segmentClass, footerOffset: first)
        case 5: self = .recovered(segment, end: first)
        case 6, 12, 16:
            guard let cause = UnreadableRange.Kind(rawValue: detail), first <= second else {
                throw SegmentFormatError(.malformed, "manifest gives an unreadable range that is none")
            }
            let id = name == (0, 0) ? nil : RecordID(high: name.high, low: name.low)
            let unreadable = UnreadableRange(range: first..<second, kind: cause, record: id)
            switch kind {
            case 6: self = .unreadable(segment, unreadable)
            case 12: self = .healed(segment, unreadable)
            default: self = .sound(segment, unreadable)
            }
        case 7: self = .writeFailed(segment)
        case 8: self = .closed
        case 9: self = .uncertain
        case 10: self = .reconciled
        case 11: self = .term(Term(rawValue: first))
        case 13: self = .scrubbed(segment, atMilliseconds: Int64(bitPattern: first))
        case 14: self = .retired(segment, atMilliseconds: Int64(bitPattern: first))
        case 15: self = .purged(segment, permit: Amendment.Reference(high: name.high, low: name.low))
        case 17: self = .drops
        default:
            throw SegmentFormatError(.unsupportedVersion, "manifest has an entry of unknown kind \(kind)")
        }
    }
}
