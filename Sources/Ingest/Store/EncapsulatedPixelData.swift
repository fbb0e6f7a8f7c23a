// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SegmentFormat

/// Writes an encapsulated Pixel Data element (PS3.5 §A.4): basic offset table, one fragment a frame, delimiter.
enum EncapsulatedPixelData {
    /// Bytes before the first frame: element header, offset table item with one entry a frame, first item header.
    static func prefixByteCount(frameCount: Int) -> Int {
        12 + 8 + 4 * frameCount
    }

    /// Bytes of the whole element.
    static func byteCount(frames: [ByteBuffer]) -> Int {
        frames.reduce(prefixByteCount(frameCount: frames.count) + 8) { $0 + 8 + paddedByteCount($1.readableBytes) }
    }

    static func paddedByteCount(_ count: Int) -> Int {
        count + count % 2
    }

    /// Appends the element to `payload` and returns where each frame's fragment is in it (padding included).
    ///
    /// The offsets of the table have 32 bits: the caller keeps frames of 4 GiB and more in total as they came.
    static func write(_ frames: [ByteBuffer], into payload: inout ByteBuffer) -> [FrameLocation] {
        writePrefix(frameByteCounts: frames.map(\.readableBytes), into: &payload)
        var locations: [FrameLocation] = []
        for frame in frames {
            locations.append(writeFragment(frame, into: &payload))
        }
        writeDelimiter(into: &payload)
        return locations
    }

    /// Element header and basic offset table.
    ///
    /// Offsets count from the first byte of the first fragment's item tag.
    static func writePrefix(frameByteCounts: [Int], into payload: inout ByteBuffer) {
        payload.writeMultipleIntegers(UInt16(0x7FE0), UInt16(0x0010), endianness: .little)
        payload.writeStaticString("OB")
        payload.writeMultipleIntegers(UInt16(0), UInt32.max, endianness: .little)
        writeItemHeader(byteCount: 4 * frameByteCounts.count, into: &payload)
        var offset: UInt32 = 0
        for count in frameByteCounts {
            payload.writeInteger(offset, endianness: .little)
            offset += UInt32(8 + paddedByteCount(count))
        }
    }

    /// One fragment with its item header; odd byte counts are padded with zero.
    static func writeFragment(_ frame: ByteBuffer, into payload: inout ByteBuffer) -> FrameLocation {
        let count = paddedByteCount(frame.readableBytes)
        writeItemHeader(byteCount: count, into: &payload)
        let offset = payload.writerIndex
        payload.writeImmutableBuffer(frame)
        if count > frame.readableBytes { payload.writeInteger(UInt8(0)) }
        return FrameLocation(offset: UInt64(offset), byteCount: UInt64(count))
    }

    /// The sequence delimiter that ends the element.
    static func writeDelimiter(into payload: inout ByteBuffer) {
        payload.writeMultipleIntegers(UInt16(0xFFFE), UInt16(0xE0DD), UInt32(0), endianness: .little)
    }

    private static func writeItemHeader(byteCount: Int, into payload: inout ByteBuffer) {
        payload.writeMultipleIntegers(UInt16(0xFFFE), UInt16(0xE000), UInt32(byteCount), endianness: .little)
    }
}
