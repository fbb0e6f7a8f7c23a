// SPDX-License-Identifier: Apache-2.0

import Checksums
public import NIOCore

/// Cuts the bytes of a connection into messages and checks them.
///
/// Owned by one connection. Payloads of DATA messages are handed on in pieces as they arrive, so that their bytes are
/// copied once, to where they belong; all other payloads are collected (at most 256 KiB, and 4 KiB during the
/// handshake). A failure is final: a stream of bytes that is wrong once is never trusted again.
public struct FrameReader: Sendable {
    /// What the bytes contained.
    public enum Step: Hashable, Sendable {
        /// Nothing more until more bytes arrive.
        case needsBytes
        /// A DATA message begins. Its pieces and its end follow.
        case dataBegan(MessageHeader)
        /// More bytes of the DATA message; not yet verified.
        case dataPiece(ByteBuffer)
        /// The DATA message is complete and its checksum right.
        case dataEnded(MessageHeader)
        /// Any other message, complete and verified. The payload may share the input's storage.
        case message(MessageHeader, payload: ByteBuffer)
    }

    private enum State: Hashable, Sendable {
        /// Collecting a header, of which `partial` has the first bytes.
        case header(partial: ByteBuffer)
        /// Within a DATA message; exits to `header`.
        case data(MessageHeader, remaining: Int, checksum: UInt32)
        /// Within another message, of which `collected` has the first bytes; exits to `header`.
        case payload(MessageHeader)
        /// The bytes were wrong.
        case failed(ReplicationError)
    }

    private var state: State = .header(partial: ByteBuffer())
    /// The first bytes of a payload; beside the state so that it grows in place.
    private var collected = ByteBuffer()
    private var version: UInt8?

    public init() {}

    /// The handshake is over: all types of message may come, in `version`.
    public mutating func handshakeCompleted(version: UInt16) {
        self.version = UInt8(truncatingIfNeeded: version)
    }

    /// Takes bytes off `input` and says what they were; call until it says ``Step/needsBytes``.
    public mutating func next(from input: inout ByteBuffer) throws(ReplicationError) -> Step {
        do throws(ReplicationError) {
            switch state {
            case .header(let partial): return try readHeader(partial: partial, from: &input)
            case .data(let header, let remaining, let checksum):
                return try readData(header, remaining: remaining, checksum: checksum, from: &input)
            case .payload(let header): return try readPayload(header, from: &input)
            case .failed(let error): throw error
            }
        } catch {
            state = .failed(error)
            throw error
        }
    }

    /// Whether all that was read so far were whole messages.
    public var isBetweenMessages: Bool {
        switch state {
        case .header(let partial): partial.readableBytes == 0
        case .data, .payload, .failed: false
        }
    }

    private mutating func readHeader(
        partial: ByteBuffer,
        from input: inout ByteBuffer
    ) throws(ReplicationError) -> Step {
        let header: MessageHeader
        if partial.readableBytes == 0, input.readableBytes >= MessageHeader.byteCount {
            header = try MessageHeader(reading: &input)
        } else {
            var partial = partial
            let missing = MessageHeader.byteCount - partial.readableBytes
            if var slice = input.readSlice(length: min(missing, input.readableBytes)) { partial.writeBuffer(&slice) }
            guard partial.readableBytes == MessageHeader.byteCount else {
                state = .header(partial: partial)
                return .needsBytes
            }
            header = try MessageHeader(reading: &partial)
        }
        try check(header)
        if header.type == .data {
            state = .data(header, remaining: header.payloadByteCount, checksum: 0)
            return .dataBegan(header)
        }
        state = .payload(header)
        return try readPayload(header, from: &input)
    }

    private func check(_ header: MessageHeader) throws(ReplicationError) {
        guard let version else {
            guard header.type.belongsToHandshake else { throw .violation("\(header.type.name) before the handshake") }
            guard header.version == ProtocolVersion.handshake else {
                throw .violation("a handshake in version \(header.version)")
            }
            return
        }
        guard header.version == version else {
            throw .violation("a message of version \(header.version) after agreeing on \(version)")
        }
        guard header.type != .data || header.payloadByteCount > 0 else { throw .violation("DATA without bytes") }
    }

    private mutating func readData(
        _ header: MessageHeader,
        remaining: Int,
        checksum: UInt32,
        from input: inout ByteBuffer
    ) throws(ReplicationError) -> Step {
        guard remaining > 0 else {
            guard checksum == header.payloadChecksum else {
                throw ReplicationError(.checksumMismatch, "a DATA message that does not match its checksum")
            }
            state = .header(partial: ByteBuffer())
            return .dataEnded(header)
        }
        guard let piece = input.readSlice(length: min(remaining, input.readableBytes)), piece.readableBytes > 0 else {
            return .needsBytes
        }
        let checksum = unsafe piece.withUnsafeReadableBytes { bytes in
            unsafe CRC32C.checksum(of: bytes, continuing: checksum)
        }
        state = .data(header, remaining: remaining - piece.readableBytes, checksum: checksum)
        return .dataPiece(piece)
    }

    private mutating func readPayload(
        _ header: MessageHeader,
        from input: inout ByteBuffer
    ) throws(ReplicationError) -> Step {
        let missing = header.payloadByteCount - collected.readableBytes
        guard var slice = input.readSlice(length: min(missing, input.readableBytes)) else { return .needsBytes }
        let payload: ByteBuffer
        if collected.readableBytes == 0, slice.readableBytes == missing {
            payload = slice
        } else {
            collected.reserveCapacity(header.payloadByteCount)
            collected.writeBuffer(&slice)
            guard collected.readableBytes == header.payloadByteCount else { return .needsBytes }
            payload = collected
            collected = ByteBuffer()
        }
        guard CRC32C.checksum(of: payload) == header.payloadChecksum else {
            throw ReplicationError(.checksumMismatch, "a \(header.type.name) that does not match its checksum")
        }
        state = .header(partial: ByteBuffer())
        return .message(header, payload: payload)
    }
}
