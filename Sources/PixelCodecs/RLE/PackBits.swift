// SPDX-License-Identifier: Apache-2.0

import Glibc

/// The byte run coder of PS3.5 G.3: a control byte n, then n + 1 literal bytes (0...127) or one byte to repeat 257 - n
/// times (129...255); 128 says nothing.
enum PackBits {
    private static let longestRun = 128

    /// What rows of noise cost: a control byte for each 128 bytes of a row.
    static func maximumEncodedByteCount(rowByteCount: Int, rowCount: Int) -> Int {
        rowCount * (rowByteCount + (rowByteCount + longestRun - 1) / longestRun)
    }

    /// Encodes `source` row by row; `destination` holds at least `maximumEncodedByteCount`.
    ///
    /// - Returns: the bytes written.
    static func encode(
        _ source: UnsafeRawBufferPointer,
        rowByteCount: Int,
        into destination: UnsafeMutableRawBufferPointer
    ) -> Int {
        guard rowByteCount > 0, let bytes = source.baseAddress, let output = destination.baseAddress else { return 0 }
        precondition(
            destination.count
                >= maximumEncodedByteCount(rowByteCount: rowByteCount, rowCount: source.count / rowByteCount),
            "the buffer was made for the worst case"
        )
        var written = 0
        for start in stride(from: 0, to: source.count - rowByteCount + 1, by: rowByteCount) {
            written = encodeRow(bytes, start..<start + rowByteCount, into: output, at: written)
        }
        return written
    }

    /// Two equal bytes are worth a run only where no literal is open (G.3.1); three always are.
    private static func encodeRow(
        _ bytes: UnsafeRawPointer,
        _ row: Range<Int>,
        into output: UnsafeMutableRawPointer,
        at start: Int
    ) -> Int {
        var written = start
        var position = row.lowerBound
        var literal = row.lowerBound
        func flush(upTo end: Int) {
            while literal < end {
                let count = min(longestRun, end &- literal)
                output.storeBytes(of: UInt8(count &- 1), toByteOffset: written, as: UInt8.self)
                memcpy(output + written + 1, bytes + literal, count)
                written &+= count &+ 1
                literal &+= count
            }
        }
        while position < row.upperBound {
            let byte = bytes.load(fromByteOffset: position, as: UInt8.self)
            var end = position &+ 1
            let limit = min(row.upperBound, position &+ longestRun)
            while end < limit, bytes.load(fromByteOffset: end, as: UInt8.self) == byte { end &+= 1 }
            let count = end &- position
            guard count > 2 || (count == 2 && literal == position) else {
                position = end
                continue
            }
            flush(upTo: position)
            output.storeBytes(of: UInt8(257 &- count), toByteOffset: written, as: UInt8.self)
            output.storeBytes(of: byte, toByteOffset: written &+ 1, as: UInt8.self)
            written &+= 2
            position = end
            literal = end
        }
        flush(upTo: row.upperBound)
        return written
    }

    /// Decodes the segment at `range` of `bytes` into the strip of `destination`, and no byte beyond it.
    ///
    /// Writers exist whose last run ends one byte behind the segment's end: that byte is taken where the stream has it.
    ///
    /// - Returns: the bytes that it yields, at most the strip's count.
    static func decode(
        _ bytes: UnsafeRawBufferPointer,
        _ range: Range<Int>,
        into destination: UnsafeMutableRawBufferPointer,
        _ strip: RLELayout.Strip
    ) -> Int {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= bytes.count && strip.start >= 0 && strip.stride > 0
                && destination.count > strip.start + (strip.count - 1) * strip.stride,
            "ranges were checked against their buffers"
        )
        guard let source = bytes.baseAddress, let target = destination.baseAddress else { return 0 }
        let readable = min(bytes.count, range.upperBound + 1)
        var output = target + strip.start
        var position = range.lowerBound
        var missing = strip.count
        while missing > 0, position < range.upperBound {
            let control = Int(source.load(fromByteOffset: position, as: UInt8.self))
            position &+= 1
            if control < 128 {
                let count = min(control &+ 1, missing, readable &- position)
                if strip.stride == 1 {
                    memcpy(output, source + position, count)
                } else {
                    scatter(source + position, count, output, strip.stride)
                }
                output += count &* strip.stride
                position &+= count
                missing &-= count
            } else if control > 128 {
                guard position < readable else { break }
                let byte = source.load(fromByteOffset: position, as: UInt8.self)
                let count = min(257 &- control, missing)
                if strip.stride == 1 {
                    memset(output, Int32(byte), count)
                } else {
                    for index in 0..<count { (output + index &* strip.stride).storeBytes(of: byte, as: UInt8.self) }
                }
                output += count &* strip.stride
                position &+= 1
                missing &-= count
            }
        }
        return strip.count - missing
    }

    @inline(__always)
    private static func scatter(
        _ source: UnsafeRawPointer,
        _ count: Int,
        _ target: UnsafeMutableRawPointer,
        _ stride: Int
    ) {
        for index in 0..<count {
            let byte = source.load(fromByteOffset: index, as: UInt8.self)
            (target + index &* stride).storeBytes(of: byte, as: UInt8.self)
        }
    }
}
