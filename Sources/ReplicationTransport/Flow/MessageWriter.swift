// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol

/// Writes messages to the channel of one connection; flushing is left to whoever knows when enough is written.
///
/// Event-loop state of one connection. A class, because the channel may call back while it is written to.
final class MessageWriter {
    /// Control bytes that may pile up while the peer does not read; beyond, the peer is not worth keeping.
    static let maximumUnwritableByteCount = 1 << 20

    private let context: ChannelHandlerContext
    private let mapEpoch: UInt32
    private var connectionSequence = MessageSequence()
    private var unwritableByteCount = 0
    private(set) var needsFlush = false

    init(context: ChannelHandlerContext, mapEpoch: UInt32) {
        self.context = context
        self.mapEpoch = mapEpoch
    }

    /// Whether control messages pile up because the peer does not read them.
    var isOverrun: Bool { unwritableByteCount > Self.maximumUnwritableByteCount }

    /// Checks the number of a message that was received for the connection itself.
    func receivedForConnection(_ header: MessageHeader) throws(ReplicationError) {
        try connectionSequence.received(header)
    }

    /// Writes a message for the connection itself.
    func write(_ message: Message) {
        write(message, streamID: 0, sequence: connectionSequence.next())
    }

    /// Writes a message of a stream.
    func write(_ message: Message, flags: MessageFlags = [], streamID: UInt32, sequence: UInt32) {
        var buffer = ByteBuffer()
        message.write(to: &buffer, flags: flags, streamID: streamID, sequence: sequence, mapEpoch: mapEpoch)
        if !context.channel.isWritable { unwritableByteCount += buffer.readableBytes }
        write(buffer)
    }

    /// Writes DATA or METADATA: a header and the bytes themselves, which are not copied.
    func write(
        _ type: MessageType,
        _ payload: ByteBuffer,
        flags: MessageFlags,
        streamID: UInt32,
        sequence: UInt32
    ) {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(MessageHeader.byteCount)
        MessageHeader(
            type,
            payload: payload,
            flags: flags,
            streamID: streamID,
            sequence: sequence,
            mapEpoch: mapEpoch
        ).write(to: &buffer)
        write(buffer)
        write(payload)
    }

    func flush() {
        guard needsFlush else { return }
        needsFlush = false
        context.flush()
    }

    /// The peer reads again.
    func becameWritable() {
        unwritableByteCount = 0
    }

    private func write(_ buffer: ByteBuffer) {
        needsFlush = true
        // A failed write closes the channel, which is where all streams learn of it.
        context.write(NIOAny(buffer), promise: nil)
    }
}
