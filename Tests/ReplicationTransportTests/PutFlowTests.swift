// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOConcurrencyHelpers
import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport
import Testing

/// Puts under way: streams of chunks, many at once, little memory, slow nodes.
@Suite(.timeLimit(.minutes(5)))
struct PutFlowTests {
    /// A record's payload in chunks, counted as they are taken.
    private struct Chunks: AsyncSequence, Sendable {
        let payload: ByteBuffer
        let chunkByteCount: Int
        let takenByteCount = NIOLockedValueBox(0)
        var failsAfter: Int?

        struct Iterator: AsyncIteratorProtocol {
            var rest: ByteBuffer
            let chunks: Chunks

            mutating func next() async throws -> ByteBuffer? {
                let taken = chunks.takenByteCount.withLockedValue { $0 }
                if let limit = chunks.failsAfter, taken >= limit { throw ProducerFailure() }
                guard let chunk = rest.readSlice(length: Swift.min(chunks.chunkByteCount, rest.readableBytes)),
                    chunk.readableBytes > 0
                else { return nil }
                chunks.takenByteCount.withLockedValue { $0 += chunk.readableBytes }
                return chunk
            }
        }

        func makeAsyncIterator() -> Iterator {
            Iterator(rest: payload, chunks: self)
        }
    }

    private struct ProducerFailure: Error {}

    @Test(arguments: [0, 1, 100_000, 16 << 20, 20 << 20])
    func chunksArriveInOrder(byteCount: Int) async throws {
        let service = FakeService()
        try await Loopback.run(service) { loopback in
            try await loopback.withClient { client in
                let record = TestRecord(3, byteCount: byteCount)
                let chunks = Chunks(payload: record.payload, chunkByteCount: 77_777)
                let outcome = try await client.put(record.request, chunks: chunks)
                #expect(outcome == .stored)
                #expect(
                    service.state.withLockedValue { $0.records[record.request.recordID]?.payload } == record.payload
                )
            }
        }
    }

    @Test func aProducerThatLiesOrFailsEndsThePut() async throws {
        let service = FakeService()
        try await Loopback.run(service) { loopback in
            try await loopback.withClient { client in
                let record = TestRecord(3, byteCount: 20 << 20)
                for byteCount in [(20 << 20) - 1, (20 << 20) + 1] {
                    let other = TestRecord(3, byteCount: byteCount)
                    let error = await failure { () async throws(ReplicationError) in
                        try await client.put(
                            record.request,
                            chunks: Chunks(payload: other.payload, chunkByteCount: 1 << 20)
                        )
                    }
                    #expect(error?.code == .invalidRequest)
                }
                let failing = Chunks(payload: record.payload, chunkByteCount: 1 << 20, failsAfter: 5 << 20)
                let error = await failure { () async throws(ReplicationError) in
                    try await client.put(record.request, chunks: failing)
                }
                #expect(error?.code == .cancelled)
                let mismatch = await failure { () async throws(ReplicationError) in
                    try await client.put(record.request, payload: ByteBuffer(string: "short"))
                }
                #expect(mismatch?.code == .invalidRequest)
                #expect(service.state.withLockedValue { $0.records.isEmpty })
                // The connection is as good as before.
                let outcome = try await client.put(record.request, payload: record.payload)
                #expect(outcome == .stored)
            }
        }
    }

    @Test func aSlowNodeHoldsTheProducerBack() async throws {
        let service = FakeService(gate: Gate())
        try await Loopback.run(service) { loopback in
            try await loopback.withClient { client in
                let record = TestRecord(3, byteCount: 40 << 20)
                let chunks = Chunks(payload: record.payload, chunkByteCount: 256 * 1024)
                async let outcome = client.put(record.request, chunks: chunks)
                await service.gate.arrived(1)
                for _ in 0..<50 { _ = try await client.ping() }
                // The server's window of 4 MiB, the client's own MiB, and a chunk; of 40 MiB in all.
                #expect(chunks.takenByteCount.withLockedValue { $0 } <= (5 << 20) + 2 * 256 * 1024)
                service.gate.open()
                let result = try await outcome
                #expect(result == .stored)
            }
        }
    }

    @Test func hundredsOfPutsAtOnceShareLittleMemory() async throws {
        let service = FakeService()
        var limits = Loopback.patientLimits
        limits.maximumConnections = 4
        limits.connectionCreditByteCount = 300_000
        limits.streamCreditByteCount = 200_000
        limits.maximumWholePayloadByteCount = 1 << 20
        limits.windowByteCount = 600_000
        // 1.2 MB are set aside for the connections; 1.5 MB are left for payloads.
        let memory = ReplicationMemoryBudget(byteCount: 2_700_000)
        let sizes = [0, 1000, 110_000, 199_999, 200_001, 526_000, 1 << 20, (1 << 20) + 1, 1_400_000]
        try await Loopback.run(service, limits: limits, memory: memory) { loopback in
            try await loopback.withClient { first in
                try await loopback.withClient { second in
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for number in 0..<300 {
                            group.addTask {
                                let record = TestRecord(UInt64(number), byteCount: sizes[number % sizes.count])
                                let client = number % 2 == 0 ? first : second
                                let outcome = try await client.put(record.request, payload: record.payload)
                                #expect(outcome == .stored)
                            }
                        }
                        try await group.waitForAll()
                    }
                }
            }
        }
        #expect(service.state.withLockedValue { $0.records.count } == 300)
        #expect(memory.lentByteCount == 0)
        #expect(memory.waiterCount == 0)
    }

    /// What waits for memory holds all the connection's credit, and a put of higher priority passes it.
    @Test func aPutThatPassesOthersDoesNotDependOnTheirCredit() async throws {
        let service = FakeService(gate: Gate())
        var limits = Loopback.patientLimits
        limits.maximumConnections = 1
        limits.connectionCreditByteCount = 300_000
        limits.streamCreditByteCount = 200_000
        limits.maximumWholePayloadByteCount = 1 << 20
        limits.windowByteCount = 600_000
        // Beside the connection's own: what the first takes, and 100 kB.
        let memory = ReplicationMemoryBudget(byteCount: 900_000)
        try await Loopback.run(service, limits: limits, memory: memory) { loopback in
            try await loopback.withClient { client in
                let records = [500_000, 190_000, 190_000, 90_000].enumerated().map { number, byteCount in
                    TestRecord(UInt64(number), byteCount: byteCount)
                }
                async let first = client.put(records[0].request, payload: records[0].payload)
                await service.gate.arrived(1)
                async let second = client.put(records[1].request, payload: records[1].payload, priority: .repair)
                async let third = client.put(records[2].request, payload: records[2].payload, priority: .repair)
                try await Loopback.roundTrips(of: client) { memory.waiterCount == 2 }
                async let fourth = client.put(records[3].request, payload: records[3].payload)
                // It gets to the service while the first has its memory yet.
                try await Loopback.roundTrips(of: client) { service.state.withLockedValue { $0.putCount } == 2 }
                #expect(memory.waiterCount == 2)
                service.gate.open()
                let outcomes = try await [first, second, third, fourth]
                #expect(outcomes == [.stored, .stored, .stored, .stored])
            }
        }
        #expect(memory.lentByteCount == 0)
    }

    @Test func aPayloadInSeveralBuffersArrivesAsOne() async throws {
        let service = FakeService()
        try await Loopback.run(service) { loopback in
            try await loopback.withClient { client in
                let record = TestRecord(1, byteCount: 526_000)
                let payload = record.payload
                let head = try #require(payload.getSlice(at: payload.readerIndex, length: 350))
                let rest = try #require(payload.getSlice(at: payload.readerIndex + 350, length: 526_000 - 350))
                let outcome = try await client.put(record.request, pieces: [head, ByteBuffer(), rest])
                #expect(outcome == .stored)
                await #expect(throws: ReplicationError.self) { try await client.put(record.request, pieces: [head]) }
            }
        }
        #expect(service.state.withLockedValue { $0.records.count } == 1)
    }

    @Test func aPutWaitsForMemoryAndThenGoesThrough() async throws {
        let service = FakeService(gate: Gate())
        var limits = Loopback.patientLimits
        limits.maximumConnections = 1
        let memory = ReplicationMemoryBudget(byteCount: (2 << 20) + 800_000)
        try await Loopback.run(service, limits: limits, memory: memory) { loopback in
            try await loopback.withClient { client in
                let first = TestRecord(1, byteCount: 526_000)
                let second = TestRecord(2, byteCount: 526_000)
                async let one = client.put(first.request, payload: first.payload)
                await service.gate.arrived(1)
                async let two = client.put(second.request, payload: second.payload)
                try await Loopback.roundTrips(of: client) { memory.waiterCount == 1 }
                #expect(service.state.withLockedValue { $0.putCount } == 1)
                service.gate.open()
                let outcomes = try await [one, two]
                #expect(outcomes == [.stored, .stored])
            }
        }
        #expect(memory.lentByteCount == 0)
    }

    /// What a put that waited for memory held of the connection's credit comes back with the memory.
    ///
    /// Nothing more arrives on the connection, which others may be waiting to send on.
    @Test func memoryThatWasWaitedForGivesCreditBackAtOnce() async throws {
        let service = FakeService(gate: Gate())
        var limits = Loopback.patientLimits
        limits.maximumConnections = 1
        let memory = ReplicationMemoryBudget(byteCount: (2 << 20) + 800_000)
        try await Loopback.run(service, limits: limits, memory: memory) { loopback in
            let peer = try await RawPeer.handshake(port: loopback.port)
            for (number, stream) in [(1, 1), (2, 3)] as [(UInt64, UInt32)] {
                let record = TestRecord(number, byteCount: 526_000)
                var messages = [Message.putBegin(PutBegin(record.request, timeoutMilliseconds: 0))]
                var rest = record.payload
                while rest.readableBytes > 0 {
                    let byteCount = min(rest.readableBytes, MessageHeader.maximumPayloadByteCount)
                    let slice = rest.readSlice(length: byteCount)
                    messages.append(.data(try #require(slice)))
                }
                messages.append(.putCommit(payloadByteCount: 526_000))
                for (sequence, message) in messages.enumerated() {
                    let flags: MessageFlags = message.type == .data ? .unsolicited : []
                    await peer.send(message, flags: flags, stream: stream, sequence: UInt32(sequence))
                }
            }
            await service.gate.arrived(1)
            await peer.send(.ping(token: 1), sequence: 1)
            var credit: UInt64 = 0
            var ackCount = 0
            while ackCount < 2, let message = await peer.next() {
                switch message.message {
                case .pong:
                    // All bytes of both puts are there; one is at the gate, the other waits for its memory.
                    #expect(memory.waiterCount == 1)
                    service.gate.openOnce()
                case .putAck:
                    ackCount += 1
                    guard ackCount == 1 else { break }
                    await service.gate.arrived(2)
                    service.gate.openOnce()
                case .credit(let byteCount):
                    #expect(message.header.streamID == 0)
                    credit += byteCount
                default:
                    Issue.record("\(message.header.type.name) is not expected")
                }
            }
            #expect(ackCount == 2)
            // The credit came before the second put's end, not some time after it.
            #expect(credit == 2 * 526_000)
            await peer.close()
        }
        #expect(memory.lentByteCount == 0)
    }

    @Test func whatIsTooLargeIsRefused() async throws {
        let service = FakeService()
        var limits = Loopback.patientLimits
        limits.maximumConnections = 1
        limits.maximumPayloadByteCount = 5 << 20
        let memory = ReplicationMemoryBudget(byteCount: (2 << 20) + (4 << 20))
        try await Loopback.run(service, limits: limits, memory: memory) { loopback in
            try await loopback.withClient { client in
                // One is larger than a payload may be, the other than all the memory there is.
                for byteCount in [(5 << 20) + 1, (4 << 20) + 1] {
                    let record = TestRecord(1, byteCount: byteCount)
                    let error = await failure { () async throws(ReplicationError) in
                        try await client.put(record.request, payload: record.payload)
                    }
                    #expect(error?.code == .tooLarge)
                }
                let small = TestRecord(2, byteCount: 1 << 20)
                let outcome = try await client.put(small.request, payload: small.payload)
                #expect(outcome == .stored)
            }
        }
    }

    @Test(arguments: ReplicationError.RetryClass.allCases)
    func theServicesErrorsReachTheCaller(retry: ReplicationError.RetryClass) async throws {
        let service = FakeService()
        let error = ReplicationError(.conflict, "the id exists with other content", retry: retry)
        service.state.withLockedValue { $0.failure = error }
        try await Loopback.run(service) { loopback in
            try await loopback.withClient { client in
                let record = TestRecord(1, byteCount: 1000)
                let id = record.request.recordID
                var errors: [ReplicationError?] = []
                errors.append(
                    await failure { () async throws(ReplicationError) in
                        try await client.put(record.request, payload: record.payload)
                    }
                )
                errors.append(await failure { () async throws(ReplicationError) in try await client.get(id) })
                errors.append(await failure { () async throws(ReplicationError) in try await client.head(id) })
                errors.append(await failure { () async throws(ReplicationError) in try await client.verify(id) })
                errors.append(
                    await failure { () async throws(ReplicationError) in
                        try await client.list(group: id.group, limit: 1)
                    }
                )
                #expect(errors == Array(repeating: error, count: 5))
            }
        }
    }
}
