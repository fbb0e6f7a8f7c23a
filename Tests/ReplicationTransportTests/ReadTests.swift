// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOConcurrencyHelpers
import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport
import Testing

/// Everything that reads: ranges, streams, heads, lists, status.
@Suite(.timeLimit(.minutes(5)))
struct ReadTests {
    private static func store(_ record: TestRecord, in service: FakeService) {
        service.state.withLockedValue { $0.records[record.request.recordID] = (record.request, record.payload) }
    }

    @Test(
        arguments: [
            (0..<1, 1), (0..<100_000, 100_000), (99_999..<100_000, 1), (50_000..<200_000, 50_000),
            (100_000..<100_001, 0), (5..<5, 0),
        ] as [(Range<UInt64>, Int)]
    )
    func rangesAreReadAsFarAsTheyReach(range: Range<UInt64>, byteCount: Int) async throws {
        let service = FakeService()
        let record = TestRecord(1, byteCount: 100_000)
        Self.store(record, in: service)
        try await Loopback.run(service) { loopback in
            try await loopback.withClient { client in
                let bytes = try await client.get(record.request.recordID, range: range)
                #expect(bytes == record.payload.getSlice(at: Int(range.lowerBound), length: byteCount))
                let stream = try await client.getStream(record.request.recordID, range: range)
                #expect(stream.range == range.lowerBound..<range.lowerBound + UInt64(byteCount))
                #expect(stream.payloadByteCount == 100_000)
                #expect(stream.payloadDigest == record.request.payloadDigest)
                var streamed = ByteBuffer()
                for try await chunk in stream.chunks { streamed.writeImmutableBuffer(chunk) }
                #expect(streamed == bytes)
            }
        }
    }

    /// Metadata within HEAD-RESULT, and more than it holds.
    @Test(arguments: [0, 10, 3_000_000], [0, 100, 200_000, 600_000])
    func aWholeRecordIsOneRequest(byteCount: Int, metadataByteCount: Int) async throws {
        let service = FakeService()
        let record = TestRecord(1, byteCount: byteCount, metadataByteCount: metadataByteCount)
        Self.store(record, in: service)
        try await Loopback.run(service) { loopback in
            try await loopback.withClient { client in
                let id = record.request.recordID
                let (head, payload) = try await client.record(id, maximumByteCount: 4 << 20, priority: .repair)
                #expect(payload == record.payload)
                #expect(head?.metadata == record.request.metadata)
                #expect(head?.payloadDigest == record.request.payloadDigest)
                #expect(head?.payloadByteCount == UInt64(byteCount))
                let refused = await failure { () async throws(ReplicationError) in
                    try await client.record(id, maximumByteCount: max(0, byteCount - 1), priority: .repair).payload
                }
                #expect(refused?.code == (byteCount == 0 ? nil : .tooLarge))
            }
        }
    }

    @Test(arguments: ["early begin", "second head", "metadata alone", "head unasked"])
    func aHeadOutOfPlaceEndsTheConnection(offence: String) async throws {
        let head = HeadResult(
            metadata: ByteBuffer(repeating: 5, count: 300_000),
            payloadByteCount: 1,
            payloadDigest: SHA256Hasher.digest(of: ByteBuffer(repeating: 7, count: 1))
        )
        let begin = GetBegin(payloadByteCount: 1, payloadDigest: head.payloadDigest, range: 0..<1)
        let answers: [Message] =
            switch offence {
            case "early begin": [.headResult(HeadBegin(head)), .getBegin(begin)]
            case "second head": [.headResult(HeadBegin(head)), .headResult(HeadBegin(head))]
            case "metadata alone": [.metadata(ByteBuffer(repeating: 5, count: 10))]
            default: [.headResult(HeadBegin(head))]
            }
        try await ScriptedServer.run { message, responder in
            switch message.message {
            case .hello: responder.accept()
            case .get: for answer in answers { responder.send(answer, stream: message.header.streamID) }
            default: break
            }
        } body: { server in
            try await Loopback.withClient(port: server.port) { client in
                let isUnasked = offence == "head unasked"
                let error = await failure { () async throws(ReplicationError) in
                    if isUnasked { return try await client.get(TestRecord.id(1)) }
                    return try await client.record(TestRecord.id(1), maximumByteCount: 1, priority: .repair).payload
                }
                #expect(error?.code == .protocolViolation || error?.code == .connectionLost)
                #expect(error?.message.contains("GET-BEGIN") ?? false || offence != "early begin")
            }
        }
    }

    @Test func whatIsNotThereIsNotFound() async throws {
        let service = FakeService()
        Self.store(TestRecord(1, byteCount: 10), in: service)
        try await Loopback.run(service) { loopback in
            try await loopback.withClient { client in
                let missing = TestRecord.id(99)
                let get = await failure { () async throws(ReplicationError) in try await client.get(missing) }
                #expect(get?.code == .notFound)
                #expect(get?.retry == .otherNode)
                let stream = await failure { () async throws(ReplicationError) in try await client.getStream(missing) }
                #expect(stream?.code == .notFound)
                let verify = await failure { () async throws(ReplicationError) in try await client.verify(missing) }
                #expect(verify?.code == .notFound)
                let head = try await client.head(missing)
                #expect(head == nil)
                let beyond = await failure { () async throws(ReplicationError) in
                    try await client.get(TestRecord.id(1), range: 11..<12)
                }
                #expect(beyond?.code == .rangeNotSatisfiable)
            }
        }
    }

    @Test func aLargePayloadIsStreamed() async throws {
        let service = FakeService()
        let record = TestRecord(1, byteCount: 40 << 20)
        Self.store(record, in: service)
        var configuration = Loopback.patient
        configuration.maximumGetByteCount = 1 << 20
        configuration.memory = ReplicationMemoryBudget(byteCount: 8 << 20)
        let memory = ReplicationMemoryBudget(byteCount: 300 << 20)
        try await Loopback.run(service, memory: memory) { loopback in
            try await loopback.withClient(configuration: configuration) { client in
                let tooLarge = await failure { () async throws(ReplicationError) in
                    try await client.get(record.request.recordID)
                }
                #expect(tooLarge?.code == .tooLarge)
                try await check(client, record)
            }
            #expect(configuration.memory.lentByteCount == 0)
        }
        #expect(memory.lentByteCount == 0)
    }

    private func check(_ client: ReplicationClient, _ record: TestRecord) async throws {
        let stream = try await client.getStream(record.request.recordID)
        var hasher = SHA256Hasher()
        for try await chunk in stream.chunks { hasher.update(chunk) }
        #expect(hasher.digest() == record.request.payloadDigest)
    }

    @Test func aSlowReaderHoldsTheSourceBack() async throws {
        let service = FakeService()
        let record = TestRecord(1, byteCount: 40 << 20)
        Self.store(record, in: service)
        var configuration = Loopback.patient
        configuration.streamWindowByteCount = 2 << 20
        try await Loopback.run(service) { loopback in
            try await loopback.withClient(configuration: configuration) { client in
                let stream = try await client.getStream(record.request.recordID)
                var iterator = stream.chunks.makeAsyncIterator()
                var byteCount = try await iterator.next()?.readableBytes ?? 0
                for _ in 0..<50 { _ = try await client.ping() }
                // The window, what the server reads ahead, and one chunk on top; of 640 chunks in all.
                let chunks = service.gate.arrivedCount
                #expect(chunks <= (2 << 20) / service.chunkByteCount + (1 << 20) / service.chunkByteCount + 2)
                while let chunk = try await iterator.next() { byteCount += chunk.readableBytes }
                #expect(byteCount == 40 << 20)
            }
        }
    }

    @Test func aReaderThatLosesInterestStopsTheSource() async throws {
        let service = FakeService(gate: Gate())
        let record = TestRecord(1, byteCount: 40 << 20)
        Self.store(record, in: service)
        let configuration = Loopback.patient
        try await Loopback.run(service) { loopback in
            try await loopback.withClient(configuration: configuration) { client in
                async let opening = client.getStream(record.request.recordID)
                await service.gate.arrived(1)
                service.gate.openOnce()
                do {
                    let stream = try await opening
                    var iterator = stream.chunks.makeAsyncIterator()
                    let first = try await iterator.next()
                    #expect(first?.readableBytes == service.chunkByteCount)
                }
                // CANCEL is on its way before this request; the source is told when it has read its next chunk.
                service.gate.open()
                let status = try await client.status()
                #expect(status.recordCount == 1)
            }
        }
        #expect(configuration.memory.lentByteCount == 0)
        #expect(service.gate.arrivedCount < 640)
    }

    @Test func gettersTakeTurnsWhenMemoryIsShort() async throws {
        let service = FakeService()
        for number in 1...12 { Self.store(TestRecord(UInt64(number), byteCount: 3 << 20), in: service) }
        var configuration = Loopback.patient
        configuration.memory = ReplicationMemoryBudget(byteCount: 4 << 20)
        try await Loopback.run(service) { loopback in
            try await loopback.withClient(configuration: configuration) { client in
                // Each borrows 1 MiB first, learns that it needs 3, and has to give way.
                try await withThrowingTaskGroup(of: SHA256Digest.self) { group in
                    for number in 1...12 {
                        group.addTask {
                            SHA256Hasher.digest(of: try await client.get(TestRecord.id(UInt64(number))))
                        }
                    }
                    var digests: Set<SHA256Digest> = []
                    for try await digest in group { digests.insert(digest) }
                    let expected = service.state.withLockedValue { $0.records.values.map(\.request.payloadDigest) }
                    #expect(digests == Set(expected))
                }
            }
        }
        #expect(configuration.memory.lentByteCount == 0)
    }

    @Test func groupsAreListedPageByPage() async throws {
        let service = FakeService()
        for number in 1...25 { Self.store(TestRecord(UInt64(number), byteCount: 1), in: service) }
        let group = TestRecord.id(1).group
        try await Loopback.run(service) { loopback in
            try await loopback.withClient { client in
                var ids: [RecordID] = []
                repeat {
                    let page = try await client.list(group: group, after: ids.last, limit: 10)
                    ids += page
                    if page.count < 10 { break }
                } while true
                #expect(ids == (1...25).map { TestRecord.id(UInt64($0)) })
                for limit in [0, ListRequest.maximumCount + 1] {
                    let error = await failure { () async throws(ReplicationError) in
                        try await client.list(group: group, limit: limit)
                    }
                    #expect(error?.code == .invalidRequest)
                }
            }
        }
    }

    @Test func statusVerifyAndPingAnswer() async throws {
        let service = FakeService()
        Self.store(TestRecord(1, byteCount: 1), in: service)
        try await Loopback.run(service) { loopback in
            try await loopback.withClient { client in
                let status = try await client.status()
                #expect(status == NodeStatusReport(recordCount: 1, usedBytes: 1, freeBytes: 2, acceptsWrites: true))
                try await client.verify(TestRecord.id(1))
                let time = try await client.ping()
                #expect(time > .zero)
                #expect(client.isConnected)
                #expect(client.peer?.nodeID == Loopback.node)
            }
        }
    }
}
