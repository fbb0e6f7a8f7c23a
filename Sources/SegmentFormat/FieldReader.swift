// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement

/// Reads little-endian fields one after another from the front of a buffer, and fails rather than run past its end.
struct FieldReader {
    private var buffer: ByteBuffer
    private let name: String

    /// Reads from a copy of `buffer`; `name` is what errors call the structure.
    init(_ buffer: ByteBuffer, of name: String) {
        self.buffer = buffer
        self.name = name
    }

    var remainingByteCount: Int { buffer.readableBytes }

    mutating func next<Value: FixedWidthInteger>(as type: Value.Type = Value.self) throws(SegmentFormatError) -> Value {
        guard let value = buffer.readInteger(endianness: .little, as: Value.self) else {
            throw SegmentFormatError(.truncated, "\(name) ends early")
        }
        return value
    }

    /// A 128-bit identity, most significant byte first.
    mutating func nextHalves() throws(SegmentFormatError) -> (high: UInt64, low: UInt64) {
        guard let high = buffer.readInteger(endianness: .big, as: UInt64.self),
            let low = buffer.readInteger(endianness: .big, as: UInt64.self)
        else { throw SegmentFormatError(.truncated, "\(name) ends early") }
        return (high, low)
    }

    mutating func nextRecordID() throws(SegmentFormatError) -> RecordID {
        let halves = try nextHalves()
        guard let id = RecordID(high: halves.high, low: halves.low) else {
            throw SegmentFormatError(.malformed, "\(name) has a record id whose placement group is out of range")
        }
        return id
    }

    mutating func nextDigest() throws(SegmentFormatError) -> SHA256Digest {
        let first = try nextHalves()
        let second = try nextHalves()
        return SHA256Digest(words: (first.high, first.low, second.high, second.low))
    }

    mutating func nextBytes(_ count: Int) throws(SegmentFormatError) -> ByteBuffer {
        guard count >= 0, let slice = buffer.readSlice(length: count) else {
            throw SegmentFormatError(.truncated, "\(name) ends early")
        }
        return slice
    }

    mutating func skip(_ count: Int) throws(SegmentFormatError) {
        guard count <= buffer.readableBytes else { throw SegmentFormatError(.truncated, "\(name) ends early") }
        buffer.moveReaderIndex(forwardBy: count)
    }
}

extension ByteBuffer {
    /// Appends `value` least significant byte first.
    mutating func writeLittle(_ value: some FixedWidthInteger) {
        writeInteger(value, endianness: .little)
    }

    /// Appends a 128-bit identity, most significant byte first.
    mutating func writeHalves(high: UInt64, low: UInt64) {
        writeInteger(high, endianness: .big)
        writeInteger(low, endianness: .big)
    }

    mutating func writeDigest(_ digest: SHA256Digest) {
        writeHalves(high: digest.words.0, low: digest.words.1)
        writeHalves(high: digest.words.2, low: digest.words.3)
    }

    mutating func writeZeros(_ count: Int) {
        writeRepeatingByte(0, count: count)
    }

    /// The CRC32C of the readable bytes, with the four bytes at `fieldOffset` (from the reader index) taken as zero.
    func checksum(zeroingFieldAt fieldOffset: Int) -> UInt32 {
        let zeros: [UInt8] = [0, 0, 0, 0]
        return unsafe withUnsafeReadableBytes { bytes in
            let head = unsafe CRC32C.checksum(of: UnsafeRawBufferPointer(rebasing: bytes[..<fieldOffset]))
            let middle = unsafe zeros.withUnsafeBytes { unsafe CRC32C.checksum(of: $0, continuing: head) }
            return unsafe CRC32C.checksum(
                of: UnsafeRawBufferPointer(rebasing: bytes[(fieldOffset + 4)...]),
                continuing: middle
            )
        }
    }

    /// Computes `checksum(zeroingFieldAt:)` and stores it in that field.
    mutating func sealChecksum(at fieldOffset: Int) {
        let value = checksum(zeroingFieldAt: fieldOffset)
        setInteger(value, at: readerIndex + fieldOffset, endianness: .little)
    }
}
