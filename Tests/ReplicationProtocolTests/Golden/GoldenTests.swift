// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol
import Testing

/// The bytes of every message, good and broken, as docs/replication-protocol.md promises them.
struct GoldenTests {
    static let good = GoldenFile(
        "messages.txt",
        comment: """
            Golden vectors of VRP version 1: one message an entry, header first (the first line of hex).
            A correct implementation decodes each to these values and encodes them so; the fields of the payload begin
            with a dot (docs/replication-protocol.md, section 7).
            """
    )
    static let broken = GoldenFile(
        "broken.txt",
        comment: """
            Golden vectors of VRP version 1: bytes that a correct implementation refuses, and why.
            phase: whether the bytes arrive before or after HELLO and HELLO-ACK. code: of the error.
            """
    )

    private static func entry(_ sample: Sample) -> GoldenFile.Entry {
        var facts = [
            "epoch": "\(sample.mapEpoch)", "flags": "\(sample.flags.rawValue)", "sequence": "\(sample.sequence)",
            "stream": "\(sample.streamID)", "type": sample.message.type.name,
        ]
        for (name, value) in MessageFields(sample.message).all { facts["." + name] = value }
        return GoldenFile.Entry(name: sample.name, facts: facts, hex: GoldenFile.hex(sample.bytes))
    }

    private static func entry(_ broken: BrokenSample) -> GoldenFile.Entry {
        let error = broken.error
        return GoldenFile.Entry(
            name: broken.name,
            facts: [
                "code": error.map { "\($0.code)" } ?? "none", "error": error?.message ?? "none",
                "phase": broken.handshakeIsOver ? "after" : "before",
            ],
            hex: GoldenFile.hex(broken.bytes)
        )
    }

    @Test func goodMessagesHaveTheirGoldenBytes() throws {
        let entries = Samples.all.map(Self.entry)
        if GoldenFile.isWriting { try Self.good.write(entries) }
        #expect(try Self.good.read() == entries)
    }

    @Test func brokenMessagesAreRefusedForTheirGoldenReason() throws {
        let entries = BrokenSample.all.map(Self.entry)
        for (entry, broken) in zip(entries, BrokenSample.all) {
            #expect(broken.error != nil, "\(entry.name) is accepted")
        }
        if GoldenFile.isWriting { try Self.broken.write(entries) }
        #expect(try Self.broken.read() == entries)
    }

    @Test(arguments: [1, 7, 31, 32, 33, .max])
    func goldenBytesDecodeToTheirMessages(pieceByteCount: Int) throws {
        let entries = try Self.good.read()
        #expect(entries.count == Samples.all.count)
        for (entry, sample) in zip(entries, Samples.all) {
            let received = try Collector.decode(
                entry.bytes,
                handshakeIsOver: !sample.message.type.belongsToHandshake || sample.streamID != 0,
                pieceByteCount: pieceByteCount
            )
            let only = try #require(received.count == 1 ? received.first : nil, "\(entry.name)")
            #expect(only.message == sample.message, "\(entry.name)")
            #expect(only.header.flags == sample.flags)
            #expect(only.header.streamID == sample.streamID)
            #expect(only.header.sequence == sample.sequence)
            #expect(only.header.mapEpoch == sample.mapEpoch)
        }
    }

    @Test func everyTypeHasAVector() {
        for type in MessageType.allCases {
            #expect(Samples.all.contains { $0.message.type == type }, "\(type.name)")
        }
    }
}
