// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import ReplicationProtocol
import Testing

/// Bytes into messages: however they are cut, and whatever is wrong with them.
struct FrameReaderTests {
    /// All samples of established sessions in one piece.
    private static let stream: (bytes: ByteBuffer, messages: [Message]) = {
        var bytes = ByteBuffer()
        let samples = Samples.all.filter { !$0.message.type.belongsToHandshake || $0.streamID != 0 }
        for sample in samples { bytes.writeImmutableBuffer(sample.bytes) }
        return (bytes, samples.map(\.message))
    }()

    @Test(arguments: [1, 2, 3, 31, 32, 33, 100, 1000, .max])
    func messagesComeOutHoweverTheBytesAreCut(pieceByteCount: Int) throws {
        let received = try Collector.decode(Self.stream.bytes, pieceByteCount: pieceByteCount)
        #expect(received.map(\.message) == Self.stream.messages)
    }

    @Test func messagesComeOutOfRandomPieces() throws {
        var random = SplitMix(seed: Seed.value)
        for round in 0..<50 {
            var collector = Collector(handshakeIsOver: true)
            var bytes = Self.stream.bytes
            while bytes.readableBytes > 0 {
                let count = min(bytes.readableBytes, Int.random(in: 1...200, using: &random))
                try collector.feed(bytes.readSlice(length: count) ?? ByteBuffer())
            }
            #expect(collector.received.map(\.message) == Self.stream.messages, "seed \(Seed.value), round \(round)")
            #expect(collector.isBetweenMessages)
        }
    }

    @Test func aStreamCutAnywhereYieldsWholeMessagesOnly() throws {
        for sample in Samples.all {
            let isOver = !sample.message.type.belongsToHandshake || sample.streamID != 0
            for count in 0..<sample.bytes.readableBytes {
                let part = try #require(sample.bytes.getSlice(at: 0, length: count))
                #expect(try Collector.decode(part, handshakeIsOver: isOver).isEmpty, "\(sample.name) at \(count)")
            }
        }
    }

    @Test func everyFlippedBitIsNoticed() {
        for sample in Samples.all {
            let isOver = !sample.message.type.belongsToHandshake || sample.streamID != 0
            for index in 0..<sample.bytes.readableBytes {
                for bit in 0..<8 {
                    var bytes = sample.bytes
                    let byte: UInt8 = bytes.getInteger(at: index) ?? 0
                    bytes.setInteger(byte ^ UInt8(1 << bit), at: index)
                    #expect(throws: ReplicationError.self, "\(sample.name), byte \(index), bit \(bit)") {
                        try Collector.decode(bytes, handshakeIsOver: isOver)
                    }
                }
            }
        }
    }

    @Test func aReaderThatFailedOnceNeverRecovers() throws {
        var reader = FrameReader()
        reader.handshakeCompleted(version: 1)
        var garbage = ByteBuffer(repeating: 0xaa, count: 40)
        #expect(throws: ReplicationError.self) { try reader.next(from: &garbage) }
        var good = Samples.all[3].bytes
        #expect(throws: ReplicationError.self) { try reader.next(from: &good) }
    }

    @Test func dataIsHandedOnPieceByPiece() throws {
        let payload = Samples.counting(1000)
        var bytes = ByteBuffer()
        Message.data(payload).write(to: &bytes, streamID: 1, sequence: 0)
        var reader = FrameReader()
        reader.handshakeCompleted(version: 1)
        var first = bytes.readSlice(length: 132) ?? ByteBuffer()
        guard case .dataBegan(let header) = try reader.next(from: &first) else {
            Issue.record("DATA does not begin with its header")
            return
        }
        #expect(header.payloadByteCount == 1000)
        #expect(try reader.next(from: &first) == .dataPiece(Samples.counting(100)))
        #expect(try reader.next(from: &first) == .needsBytes)
        guard case .dataPiece(let rest) = try reader.next(from: &bytes) else {
            Issue.record("the rest of DATA does not come")
            return
        }
        #expect(rest.readableBytes == 900)
        #expect(try reader.next(from: &bytes) == .dataEnded(header))
    }

    /// Payloads with right checksums but wrong contents: nothing traps, and what is understood is written the same.
    @Test func cutAndChangedPayloadsNeverTrap() throws {
        var random = SplitMix(seed: Seed.value)
        for sample in Samples.all {
            var payload = ByteBuffer()
            sample.message.writePayload(to: &payload)
            for count in 0..<payload.readableBytes {
                roundTrip(sample, try #require(payload.getSlice(at: 0, length: count)))
            }
            for _ in 0..<300 where payload.readableBytes > 0 {
                var changed = payload
                for _ in 0..<Int.random(in: 1...4, using: &random) {
                    let index = Int.random(in: 0..<payload.readableBytes, using: &random)
                    changed.setInteger(UInt8.random(in: 0...255, using: &random), at: index)
                }
                roundTrip(sample, changed)
            }
            for _ in 0..<100 {
                let count = Int.random(in: 0...200, using: &random)
                roundTrip(sample, ByteBuffer(bytes: (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }))
            }
        }
    }

    private func roundTrip(_ sample: Sample, _ payload: ByteBuffer) {
        let decoded: Message
        do throws(ReplicationError) {
            decoded = try Message(sample.message.type, payload: payload)
        } catch {
            #expect(error.code == .protocolViolation)
            return
        }
        var again = ByteBuffer()
        decoded.writePayload(to: &again)
        // What is too long for a field (texts) is cut when it is written: such a message differs and is none of ours.
        if again.readableBytes >= payload.readableBytes {
            let second = Result { try Message(sample.message.type, payload: again) }
            #expect(
                (try? second.get()) == decoded,
                "seed \(Seed.value), \(sample.name), \(payload.readableBytesView.map { $0 })"
            )
        }
    }
}

/// Texts that do not fit are cut between characters.
struct TextTests {
    @Test func longTextsAreCutBetweenCharacters() throws {
        let long = String(repeating: "ä", count: 400)
        var payload = ByteBuffer()
        Message.error(ReplicationError(.internal, long)).writePayload(to: &payload)
        guard case .error(let error) = try Message(.error, payload: payload) else {
            Issue.record("not an ERROR")
            return
        }
        #expect(error.message == String(repeating: "ä", count: 256))

        let identity = HelloIdentity(
            clusterID: Samples.cluster,
            nodeID: Samples.ingest,
            incarnation: 1,
            role: .tool,
            software: "x" + long
        )
        payload.clear()
        Message.hello(Hello(identity: identity)).writePayload(to: &payload)
        guard case .hello(let hello) = try Message(.hello, payload: payload) else {
            Issue.record("not a HELLO")
            return
        }
        #expect(hello.identity.software == "x" + String(repeating: "ä", count: 127))
    }

    @Test func helloMayGrowAtItsEnd() throws {
        for sample in Samples.all where sample.message.type == .hello || sample.message.type == .helloAck {
            var payload = ByteBuffer()
            sample.message.writePayload(to: &payload)
            payload.writeString("what a later version adds")
            #expect(try Message(sample.message.type, payload: payload) == sample.message)
        }
    }

    @Test func unknownErrorCodesAreKept() throws {
        let error = ReplicationError(ReplicationError.Code(rawValue: 9999), "from the future", retry: .later)
        var payload = ByteBuffer()
        Message.error(error).writePayload(to: &payload)
        #expect(try Message(.error, payload: payload) == .error(error))
        #expect("\(error)" == "CODE_9999: from the future")
    }
}
