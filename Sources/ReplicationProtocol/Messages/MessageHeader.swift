// SPDX-License-Identifier: Apache-2.0

import Checksums
public import NIOCore

/// The 32 bytes in front of every message, all integers little endian.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 2 | magic `56 52` ("VR") |
/// | 2 | 1 | protocol version |
/// | 3 | 1 | message type |
/// | 4 | 2 | flags |
/// | 6 | 2 | reserved, 0 |
/// | 8 | 4 | payload byte count, at most 256 KiB |
/// | 12 | 4 | stream id, 0 for the connection itself |
/// | 16 | 4 | sequence number of the message in its stream and direction, from 0 |
/// | 20 | 4 | placement map epoch of the sender, low 32 bits |
/// | 24 | 4 | CRC32C of the payload |
/// | 28 | 4 | CRC32C of bytes 0 ..< 28 |
///
/// The checksum of the header is verified before its length is believed.
public struct MessageHeader: Hashable, Sendable {
    public static let byteCount = 32
    public static let magic: UInt16 = 0x5256
    /// The most payload bytes of any message.
    public static let maximumPayloadByteCount = 256 * 1024

    public var version: UInt8
    public var type: MessageType
    public var flags: MessageFlags
    public var payloadByteCount: Int
    public var streamID: UInt32
    public var sequence: UInt32
    public var mapEpoch: UInt32
    public var payloadChecksum: UInt32

    public init(
        version: UInt8 = ProtocolVersion.current,
        type: MessageType,
        flags: MessageFlags = [],
        payloadByteCount: Int,
        streamID: UInt32,
        sequence: UInt32,
        mapEpoch: UInt32,
        payloadChecksum: UInt32
    ) {
        self.version = version
        self.type = type
        self.flags = flags
        self.payloadByteCount = payloadByteCount
        self.streamID = streamID
        self.sequence = sequence
        self.mapEpoch = mapEpoch
        self.payloadChecksum = payloadChecksum
    }

    /// Appends the 32 bytes.
    public func write(to buffer: inout ByteBuffer) {
        let start = buffer.writerIndex
        buffer.writeMultipleIntegers(
            Self.magic,
            version,
            type.rawValue,
            flags.rawValue,
            UInt16(0),
            UInt32(payloadByteCount),
            streamID,
            sequence,
            mapEpoch,
            payloadChecksum,
            endianness: .little
        )
        buffer.writeInteger(Self.checksum(of: buffer, at: start), endianness: .little)
    }

    /// Reads and checks 32 bytes, of which `buffer` must have that many.
    public init(reading buffer: inout ByteBuffer) throws(ReplicationError) {
        let computed = Self.checksum(of: buffer, at: buffer.readerIndex)
        guard
            let fields = buffer.readMultipleIntegers(
                endianness: .little,
                as: (UInt16, UInt8, UInt8, UInt16, UInt16, UInt32, UInt32, UInt32, UInt32, UInt32).self
            ), let checksum: UInt32 = buffer.readInteger(endianness: .little)
        else { throw .violation("a message header of fewer than 32 bytes") }
        guard fields.0 == Self.magic else {
            throw .violation("not a VRP message: it does not begin with the bytes 56 52")
        }
        guard checksum == computed else {
            throw .violation("a message header that does not match its checksum")
        }
        guard let type = MessageType(rawValue: fields.2) else {
            throw .violation("a message of the unknown type \(fields.2)")
        }
        guard fields.5 <= type.maximumPayloadByteCount else {
            throw .violation("a \(type.name) of \(fields.5) bytes; \(type.maximumPayloadByteCount) are allowed")
        }
        self.init(
            version: fields.1,
            type: type,
            flags: MessageFlags(rawValue: fields.3),
            payloadByteCount: Int(fields.5),
            streamID: fields.6,
            sequence: fields.7,
            mapEpoch: fields.8,
            payloadChecksum: fields.9
        )
    }

    /// CRC32C of the 28 bytes at `index`; 0 when they are not all there.
    private static func checksum(of buffer: ByteBuffer, at index: Int) -> UInt32 {
        let start = index - buffer.readerIndex
        let end = start + byteCount - 4
        guard end <= buffer.readableBytes else { return 0 }
        return unsafe buffer.withUnsafeReadableBytes { bytes in
            unsafe CRC32C.checksum(of: UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
        }
    }
}

/// Versions of the protocol.
public enum ProtocolVersion {
    /// The version HELLO, HELLO-ACK and everything before them are written in, for ever.
    public static let handshake: UInt8 = 1
    /// The lowest and highest version this code speaks.
    public static let supported: ClosedRange<UInt16> = 1...1
    /// The newest version.
    public static let current: UInt8 = 1
}
