// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOConcurrencyHelpers
import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport
import Testing

/// A node that fetches records from another one.
@Suite(.timeLimit(.minutes(5)))
struct PullTests {
    private static let target = NodeID(high: 0xd0, low: 9)

    private struct Nodes {
        let source: FakeService
        let sourcePort: Int
        let target: FakeService
        let coordinator: ReplicationClient
        let fetcher: RecordFetcher

        func pull(
            _ record: TestRecord,
            term: UInt64 = 3,
            from node: NodeID = Loopback.node,
            port: Int? = nil,
            progress: @escaping @Sendable (PullProgress) -> Void = { _ in }
        ) async throws(ReplicationError) -> PutOutcome {
            try await coordinator.pull(
                record.request.recordID,
                Orders.stamp(term),
                from: node,
                host: "127.0.0.1",
                port: port ?? sourcePort,
                progress: progress
            )
        }
    }

    /// Two nodes; the coordinator speaks to the second.
    private static func run(
        source: FakeService = FakeService(),
        limits: RecordFetcher.Limits = RecordFetcher.Limits(),
        body: (Nodes) async throws -> Void
    ) async throws {
        let identity = HelloIdentity(clusterID: Loopback.cluster, nodeID: target, incarnation: 1, role: .storage)
        let fetcher = RecordFetcher(
            identity: identity,
            group: Loopback.group,
            logger: Loopback.quiet,
            configuration: Loopback.patient,
            limits: limits
        )
        let service = FakeService(fetcher: fetcher)
        try await Loopback.run(source) { sourceLoopback in
            try await Loopback.run(service) { loopback in
                try await loopback.withClient { client in
                    try await body(
                        Nodes(
                            source: source,
                            sourcePort: sourceLoopback.port,
                            target: service,
                            coordinator: client,
                            fetcher: fetcher
                        )
                    )
                }
            }
            await fetcher.shutdown()
        }
    }

    private static func keep(_ record: TestRecord, in service: FakeService) {
        service.state.withLockedValue { $0.records[record.request.recordID] = (record.request, record.payload) }
    }

    /// Whole ones, streamed ones, and one without a payload; from nodes that say HEAD-RESULT with the payload and older ones.
    @Test(arguments: [0, 1, 100_000, 3_000_000], [true, false])
    func aRecordArrivesAsItIs(byteCount: Int, sourceSaysHead: Bool) async throws {
        var limits = RecordFetcher.Limits()
        limits.maximumWholePayloadByteCount = 1 << 20
        try await Self.run(limits: limits) { nodes in
            let record = TestRecord(1, byteCount: byteCount, metadataByteCount: 200_000)
            Self.keep(record, in: nodes.source)
            nodes.source.state.withLockedValue { $0.saysHead = sourceSaysHead }
            let steps = NIOLockedValueBox<[PullProgress]>([])
            let outcome = try await nodes.pull(record) { step in steps.withLockedValue { $0.append(step) } }
            #expect(outcome == .stored)
            let stored = nodes.target.state.withLockedValue { $0.records[record.request.recordID] }
            #expect(stored?.payload == record.payload)
            #expect(stored?.request.metadata == record.request.metadata)
            #expect(stored?.request.payloadDigest == record.request.payloadDigest)
            #expect(stored?.request.recordType == 1)
            #expect(stored?.request.term == Term(rawValue: 3))
            let isStreamed = byteCount > 1 << 20
            let first = PullProgress(receivedByteCount: 0, payloadByteCount: UInt64(byteCount))
            #expect(steps.withLockedValue { $0.first } == (isStreamed ? first : nil))
            #expect(nodes.target.state.withLockedValue { $0.wholeCount } == (isStreamed ? 0 : 1))
            #expect(try await nodes.pull(record) == .alreadyStored)
        }
    }

    @Test func whatTheSourceLacksIsNotFound() async throws {
        try await Self.run { nodes in
            let error = await failure(of: { () throws(ReplicationError) in
                try await nodes.pull(TestRecord(1, byteCount: 10))
            })
            #expect(error?.code == .notFound)
            #expect(error?.retry == .otherNode)
        }
    }

    @Test func aSourceThatIsNotThereIsSaidSo() async throws {
        try await Self.run { nodes in
            let gone = await failure(of: { () throws(ReplicationError) in
                try await nodes.pull(TestRecord(1, byteCount: 10), port: 1)
            })
            #expect(gone?.code == .notConnected)
            #expect(gone?.retry == .otherNode)
            let other = await failure(of: { () throws(ReplicationError) in
                try await nodes.pull(TestRecord(1, byteCount: 10), from: NodeID(high: 9, low: 9))
            })
            #expect(other?.code == .notConnected)
            #expect(other?.retry == .otherNode)
        }
    }

    @Test(arguments: [false, true])
    func aConnectionThatIsNotUsedIsEnded(sourceIsGone: Bool) async throws {
        var limits = RecordFetcher.Limits()
        limits.idleTime = .milliseconds(20)
        try await Self.run(limits: limits) { nodes in
            let record = TestRecord(1, byteCount: 1000)
            Self.keep(record, in: nodes.source)
            for _ in 0..<3 {
                if sourceIsGone {
                    let gone = await failure(of: { () throws(ReplicationError) in
                        try await nodes.pull(record, port: 1)
                    })
                    #expect(gone?.code == .notConnected)
                } else {
                    _ = try await nodes.pull(record)
                }
                // It is not connected to any more, and connected to again when it is wanted.
                while nodes.fetcher.connectionCount > 0 { await Task.yield() }
            }
        }
    }

    @Test func aConnectionIsKeptForAWhile() async throws {
        try await Self.run { nodes in
            let record = TestRecord(1, byteCount: 1000)
            Self.keep(record, in: nodes.source)
            for _ in 0..<3 {
                _ = try await nodes.pull(record)
                #expect(nodes.fetcher.connectionCount == 1)
            }
        }
    }

    /// The bytes of a whole payload are compared here, of a streamed one by whoever stores them.
    @Test(arguments: [1000, 3_000_000])
    func damagedBytesAreNotStored(byteCount: Int) async throws {
        var limits = RecordFetcher.Limits()
        limits.maximumWholePayloadByteCount = 1 << 20
        try await Self.run(limits: limits) { nodes in
            let record = TestRecord(1, byteCount: byteCount)
            var damaged = record.payload
            damaged.setInteger((damaged.getInteger(at: byteCount / 2) as UInt8? ?? 0) ^ 1, at: byteCount / 2)
            let payload = damaged
            nodes.source.state.withLockedValue { $0.records[record.request.recordID] = (record.request, payload) }
            let error = await failure(of: { () throws(ReplicationError) in try await nodes.pull(record) })
            #expect(error?.code == (byteCount > 1 << 20 ? .checksumMismatch : .corrupt))
            #expect(nodes.target.state.withLockedValue { $0.records.isEmpty })
        }
    }

    @Test func aPullThatIsWithdrawnStopsTheSource() async throws {
        let source = FakeService(gate: Gate())
        try await Self.run(source: source) { nodes in
            let record = TestRecord(1, byteCount: 3_000_000)
            Self.keep(record, in: source)
            let pull = Task { () -> ReplicationError? in
                await failure(of: { () throws(ReplicationError) in try await nodes.pull(record) })
            }
            await source.gate.arrived(1)
            pull.cancel()
            #expect(await pull.value?.code == .cancelled)
            source.gate.open()
            // What was withdrawn does not hold the place of another.
            for _ in 0..<10 { _ = try await nodes.pull(record) }
        }
    }

    @Test func morePullsThanAllowedAreRefused() async throws {
        let source = FakeService(gate: Gate())
        var limits = RecordFetcher.Limits()
        limits.maximumPulls = 2
        limits.maximumConnections = 2
        try await Self.run(source: source, limits: limits) { nodes in
            let records = (1...3).map { TestRecord($0, byteCount: 100) }
            for record in records { Self.keep(record, in: source) }
            async let first = nodes.pull(records[0])
            async let second = nodes.pull(records[1])
            await source.gate.arrived(2)
            let error = await failure(of: { () throws(ReplicationError) in try await nodes.pull(records[2]) })
            #expect(error?.code == .overloaded)
            #expect(error?.retry == .later)
            source.gate.open()
            let outcomes = try await [first, second]
            #expect(outcomes == [.stored, .stored])
            #expect(try await nodes.pull(records[2]) == .stored)
        }
    }

    @Test func connectionsThatAreNotUsedGiveWay() async throws {
        var limits = RecordFetcher.Limits()
        limits.maximumPulls = 1
        limits.maximumConnections = 1
        let others = [FakeService(), FakeService()]
        let record = TestRecord(1, byteCount: 100)
        for other in others { Self.keep(record, in: other) }
        try await Self.run(limits: limits) { nodes in
            for other in others {
                try await Loopback.run(other) { loopback in
                    for _ in 0..<3 { _ = try await nodes.pull(record, port: loopback.port) }
                    #expect(loopback.server.connectionCount == 1)
                }
            }
        }
    }
}
