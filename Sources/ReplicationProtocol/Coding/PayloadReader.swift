// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement

/// Reads the fields of one payload; every read says what it expected when the bytes run out.
struct PayloadReader {
    let type: MessageType
    private(set) var bytes: ByteBuffer

    init(_ bytes: ByteBuffer, type: MessageType) {
        self.type = type
        self.bytes = bytes
    }

    mutating func integer<Value: FixedWidthInteger>(_ value: Value.Type = Value.self) throws(ReplicationError) -> Value
    {
        guard let value: Value = bytes.readInteger(endianness: .little) else { throw .malformed(type, "too short") }
        return value
    }

    mutating func claim() throws(ReplicationError) -> Bool {
        switch try integer(UInt8.self) {
        case 0: false
        case 1: true
        case let other: throw .malformed(type, "\(other) where 0 or 1 is expected")
        }
    }

    /// One byte of length, then UTF-8.
    mutating func shortText() throws(ReplicationError) -> String {
        try text(byteCount: Int(integer(UInt8.self)))
    }

    /// Two bytes of length, then UTF-8.
    mutating func text() throws(ReplicationError) -> String {
        let byteCount = Int(try integer(UInt16.self))
        guard byteCount <= ReplicationError.maximumMessageByteCount else {
            throw .malformed(type, "a text of \(byteCount) bytes")
        }
        return try text(byteCount: byteCount)
    }

    private mutating func text(byteCount: Int) throws(ReplicationError) -> String {
        guard let slice = bytes.readSlice(length: byteCount) else { throw .malformed(type, "text beyond the end") }
        guard let text = String(validating: slice.readableBytesView, as: UTF8.self) else {
            throw .malformed(type, "text that is not UTF-8")
        }
        return text
    }

    /// 128 bits, most significant byte first.
    private mutating func identifier() throws(ReplicationError) -> (high: UInt64, low: UInt64) {
        guard let words = bytes.readMultipleIntegers(endianness: .big, as: (UInt64, UInt64).self) else {
            throw .malformed(type, "too short")
        }
        return (words.0, words.1)
    }

    mutating func clusterID() throws(ReplicationError) -> ClusterID {
        let identifier = try identifier()
        return ClusterID(high: identifier.high, low: identifier.low)
    }

    mutating func nodeID() throws(ReplicationError) -> NodeID {
        let identifier = try identifier()
        return NodeID(high: identifier.high, low: identifier.low)
    }

    mutating func recordID() throws(ReplicationError) -> RecordID {
        let identifier = try identifier()
        guard let id = RecordID(high: identifier.high, low: identifier.low) else {
            throw .malformed(type, "a record id whose group is out of range")
        }
        return id
    }

    mutating func digest() throws(ReplicationError) -> SHA256Digest {
        guard
            let words = bytes.readMultipleIntegers(endianness: .big, as: (UInt64, UInt64, UInt64, UInt64).self)
        else { throw .malformed(type, "too short") }
        return SHA256Digest(words: words)
    }

    mutating func reference() throws(ReplicationError) -> ReferenceID {
        let identifier = try identifier()
        return ReferenceID(high: identifier.high, low: identifier.low)
    }

    mutating func bytes(byteCount: Int) throws(ReplicationError) -> ByteBuffer {
        guard let slice = bytes.readSlice(length: byteCount) else { throw .malformed(type, "too short") }
        return slice
    }

    /// Bytes that mean nothing yet.
    mutating func reserved(byteCount: Int) throws(ReplicationError) {
        guard bytes.readSlice(length: byteCount) != nil else { throw .malformed(type, "too short") }
    }

    mutating func rest() -> ByteBuffer {
        bytes.readSlice(length: bytes.readableBytes) ?? ByteBuffer()
    }

    /// Everything must have been read by now.
    func end() throws(ReplicationError) {
        guard bytes.readableBytes == 0 else { throw .malformed(type, "\(bytes.readableBytes) bytes too many") }
    }
}
