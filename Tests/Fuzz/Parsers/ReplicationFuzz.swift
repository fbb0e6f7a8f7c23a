// SPDX-License-Identifier: Apache-2.0

import Checksums
import FuzzHarness
import NIOCore
import Placement
import ReplicationProtocol

/// What comes off a replication connection: frames, messages, the server's session.
///
/// Input: one byte, then either (even) the bytes of a connection, or (odd) messages whose headers and checksums are
/// made here, so that the mutator need not guess them: type, flags, stream, two bytes of byte count, payload.
enum ReplicationFuzz {
    static let target = FuzzTarget("vrp", seeds: seeds, run: run)

    // Safety: libFuzzer runs one input at a time, on one thread.
    nonisolated(unsafe) private static var stream = ByteBuffer()
    nonisolated(unsafe) private static var again = ByteBuffer()

    static func run(_ input: ByteBuffer) {
        var bytes = input
        let mode = bytes.takeByte()
        self.stream.clear()
        if mode & 1 != 0 { self.makeFrames(&bytes) } else { self.stream.writeImmutableBuffer(bytes) }
        var reader = FrameReader()
        if mode & 2 != 0 { reader.handshakeCompleted(version: 1) }
        var session = ServerSession(identity: self.identity, limits: self.limits)
        var rest = self.stream
        let pieceByteCount = Int(mode >> 2) + 1
        while var piece = rest.readSlice(length: min(pieceByteCount * 16, rest.readableBytes)), piece.readableBytes > 0
        {
            while true {
                guard let step = try? reader.next(from: &piece) else { return }
                if step == .needsBytes { break }
                if case .message(let header, let payload) = step, !self.handle(header, payload, &session) { return }
            }
            FuzzTarget.check(piece.readableBytes == 0, "the reader wants more and left some")
        }
    }

    private static func handle(_ header: MessageHeader, _ payload: ByteBuffer, _ session: inout ServerSession) -> Bool {
        guard let message = try? Message(header.type, payload: payload) else { return false }
        self.checkRoundTrip(message)
        if case .hello(let hello) = message {
            if case .refuse = session.helloReceived(hello) { return false }
        } else if header.type.opensStream {
            if case .close = session.streamOpened(header.streamID) { return false }
        } else if case .close = session.strayMessage(header) {
            return false
        }
        return true
    }

    private static func checkRoundTrip(_ message: Message) {
        self.again.clear()
        message.writePayload(to: &self.again)
        do throws(ReplicationError) {
            let decoded = try Message(message.type, payload: self.again)
            FuzzTarget.check(decoded == message, "\(message.type.name) decodes to another")
        } catch {
            FuzzTarget.fail("\(message.type.name) does not decode when encoded again: \(error)")
        }
    }

    private static func makeFrames(_ bytes: inout ByteBuffer) {
        while let (typeNumber, flags, streamID, count) = bytes.readMultipleIntegers(
            as: (UInt8, UInt8, UInt8, UInt16).self
        ) {
            guard let type = MessageType(rawValue: typeNumber),
                let payload = bytes.readSlice(length: min(Int(count), bytes.readableBytes))
            else { return }
            MessageHeader(
                type: type,
                flags: MessageFlags(rawValue: UInt16(flags)),
                payloadByteCount: payload.readableBytes,
                streamID: UInt32(streamID),
                sequence: 0,
                mapEpoch: 0,
                payloadChecksum: CRC32C.checksum(of: payload)
            ).write(to: &self.stream)
            self.stream.writeImmutableBuffer(payload)
        }
    }

    private static let identity = HelloIdentity(
        clusterID: ClusterID(high: 1, low: 2),
        nodeID: NodeID(high: 3, low: 4),
        incarnation: 1,
        role: .storage,
        domain: FailureDomain(site: "s", rack: "r", host: "h"),
        mapEpoch: MapEpoch(rawValue: 1),
        term: Term(rawValue: 1),
        software: "fuzz"
    )
    private static let limits = SessionLimits(
        streamCredit: 1 << 20,
        connectionCredit: 2 << 20,
        maximumStreams: 4,
        idleTimeoutMilliseconds: 30_000
    )

    private static func seeds(_ files: [ByteBuffer]) -> [ByteBuffer] {
        var seeds: [ByteBuffer] = []
        let hello = Message.hello(
            Hello(identity: self.identity, versions: 1...1, features: 0, requiredFeatures: 0, expectedNodeID: nil)
        )
        for mode: UInt8 in [0xFC, 0xFE, 4] {
            var seed = ByteBuffer(integer: mode)
            hello.write(to: &seed, streamID: 0, sequence: 0)
            Message.ping(token: 7).write(to: &seed, streamID: 0, sequence: 1)
            seeds.append(seed)
        }
        var payload = ByteBuffer()
        hello.writePayload(to: &payload)
        seeds.append(self.frame(.hello, payload))
        for type in MessageType.allCases {
            for count in [0, 1, 8, 32, 88, 160] {
                seeds.append(self.frame(type, ByteBuffer(repeating: 0, count: count)))
            }
        }
        return seeds
    }

    private static func frame(_ type: MessageType, _ payload: ByteBuffer) -> ByteBuffer {
        var seed = ByteBuffer(integer: UInt8(type.belongsToHandshake ? 0xFD : 0xFF))
        seed.writeMultipleIntegers(type.rawValue, UInt8(0), UInt8(1), UInt16(payload.readableBytes))
        seed.writeImmutableBuffer(payload)
        return seed
    }
}
