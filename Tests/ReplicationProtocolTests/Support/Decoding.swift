// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol

/// A message as a receiver sees it.
struct Received: Hashable {
    let header: MessageHeader
    let message: Message
}

/// Feeds bytes to a reader in pieces and collects the messages; throws what the reader throws.
struct Collector {
    private var reader = FrameReader()
    private var data = ByteBuffer()
    private(set) var received: [Received] = []

    init(handshakeIsOver: Bool) {
        if handshakeIsOver { reader.handshakeCompleted(version: 1) }
    }

    /// Whether the bytes so far were whole messages.
    var isBetweenMessages: Bool { reader.isBetweenMessages }

    mutating func feed(_ bytes: ByteBuffer) throws(ReplicationError) {
        var bytes = bytes
        while true {
            switch try reader.next(from: &bytes) {
            case .needsBytes: return
            case .dataBegan: data = ByteBuffer()
            case .dataPiece(let piece): data.writeImmutableBuffer(piece)
            case .dataEnded(let header): received.append(Received(header: header, message: .data(data)))
            case .message(let header, let payload):
                received.append(Received(header: header, message: try Message(header.type, payload: payload)))
            }
        }
    }

    /// All messages in `bytes`, fed in pieces of `pieceByteCount`.
    static func decode(
        _ bytes: ByteBuffer,
        handshakeIsOver: Bool = true,
        pieceByteCount: Int = .max
    ) throws(ReplicationError) -> [Received] {
        var collector = Collector(handshakeIsOver: handshakeIsOver)
        var bytes = bytes
        while bytes.readableBytes > 0 {
            try collector.feed(bytes.readSlice(length: min(pieceByteCount, bytes.readableBytes)) ?? ByteBuffer())
        }
        return collector.received
    }
}

/// A small generator whose numbers are the same on every run with one seed.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        self.state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}
