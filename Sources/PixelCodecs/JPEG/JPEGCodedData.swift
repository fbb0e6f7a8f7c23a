// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The coded data of one scan with the stuffed zeros taken out, cut at its restart markers.
struct JPEGCodedData {
    /// Bytes that are readable behind the data, so that 64 bits can be loaded at any offset of it.
    static let paddingByteCount = 8

    /// The intervals lie in it one after the other.
    let bytes: UnsafeRawPointer
    let intervals: [Range<Int>]

    /// Copies `range` of `stream` into `scratch`, which must not be reserved anew while this is in use.
    ///
    /// What stands behind `maximumIntervalCount` intervals is left out.
    init(
        _ stream: UnsafeRawBufferPointer,
        _ range: Range<Int>,
        maximumIntervalCount: Int,
        into scratch: ScratchBuffer
    ) throws(CodecError) {
        let copy = try scratch.reserve(range.count + Self.paddingByteCount)
        guard let source = stream.baseAddress, let target = copy.baseAddress else {
            throw CodecError(.corruptStream, "a JPEG scan without data")
        }
        var intervals: [Range<Int>] = []
        var start = 0
        var written = 0
        var offset = range.lowerBound
        while offset < range.upperBound, intervals.count < maximumIntervalCount {
            let found = stream.firstOffset(of: 0xFF, from: offset).map { min($0, range.upperBound) } ?? range.upperBound
            memcpy(target + written, source + offset, found - offset)
            written += found - offset
            var next = found + 1
            // Fill bytes (B.1.1.2) stand before markers only, but some writers put them before a stuffed zero.
            while next < range.upperBound, stream[next] == 0xFF { next += 1 }
            guard next < range.upperBound else { break }
            offset = next + 1
            if stream[next] == 0 {
                target.storeBytes(of: 0xFF, toByteOffset: written, as: UInt8.self)
                written += 1
                continue
            }
            // The walk over the stream let only restart markers be part of the data.
            guard stream[next] == 0xD0 + UInt8(intervals.count % 8) else {
                throw CodecError(
                    .corruptStream,
                    "a damaged JPEG stream: restart marker \(stream[next]) is out of order (byte \(next))"
                )
            }
            intervals.append(start..<written)
            start = written
        }
        if intervals.count < maximumIntervalCount { intervals.append(start..<written) }
        memset(target + written, 0, Self.paddingByteCount)
        bytes = UnsafeRawPointer(target)
        self.intervals = intervals
    }
}

/// Takes bits from one interval of coded data, most significant first.
///
/// Behind the interval's end it delivers bits of no meaning, and `isOverrun` tells afterwards: loops over samples need
/// no check of their own.
struct JPEGBitReader {
    /// Encoders exist that flush a word too many.
    private static let toleratedSurplus = 8

    private let bytes: UnsafeRawPointer
    private let end: Int
    private var position: Int
    /// The next bits, the first in the most significant place; `count` of them are valid.
    private(set) var bits: UInt64 = 0
    private var count = 0

    init(_ data: JPEGCodedData, _ interval: Range<Int>) {
        bytes = data.bytes
        position = interval.lowerBound
        end = interval.upperBound
    }

    /// Whether more bits were taken than there are.
    var isOverrun: Bool { position &* 8 &- count > end &* 8 }

    /// Whether more than a few bytes are left that are no padding.
    var hasSurplus: Bool {
        let first = (position &* 8 &- count + 7) / 8 + Self.toleratedSurplus
        return first < end && (first..<end).contains { bytes.load(fromByteOffset: $0, as: UInt8.self) != 0 }
    }

    /// Makes at least 56 bits valid.
    ///
    /// Bits that are already there are loaded again: OR does not change them.
    @inline(__always)
    mutating func refill() {
        let word = bytes.loadUnaligned(fromByteOffset: min(position, end), as: UInt64.self)
        bits |= UInt64(bigEndian: word) &>> UInt64(truncatingIfNeeded: count)
        position &+= (63 &- count) &>> 3
        count |= 56
    }

    @inline(__always)
    mutating func consume(_ bitCount: Int) {
        bits &<<= UInt64(truncatingIfNeeded: bitCount)
        count &-= bitCount
    }
}
