// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport
import Testing

/// Who goes first when not all can.
@Suite(.timeLimit(.minutes(5)))
struct PriorityTests {
    /// A reader that is slow to begin: what is sent then is a matter of priority, not of who asked first.
    @Test func foregroundPassesRepairOnTheWire() async throws {
        let service = FakeService(chunkByteCount: 4 << 20)
        let repair = TestRecord(1, byteCount: 32 << 20)
        let foreground = TestRecord(2, byteCount: 4 << 20)
        for record in [repair, foreground] {
            service.state.withLockedValue { $0.records[record.request.recordID] = (record.request, record.payload) }
        }
        var limits = Loopback.patientLimits
        limits.readAheadByteCount = 64 << 20
        try await Loopback.run(service, limits: limits) { loopback in
            let peer = try await RawPeer.handshake(port: loopback.port, reads: false, receiveBufferByteCount: 65_536)
            await Self.ask(peer, repair, .repair, stream: 1)
            await Self.ask(peer, foreground, .foreground, stream: 3)
            // Both sources are read to their ends, in 8 pieces and in one: from here on it is a matter of turns.
            await service.gate.arrived(8 + 1)
            try await peer.startReading()
            var received: [UInt32: Int] = [:]
            // What was on its way already.
            await Self.receive(from: peer, untilStream: 3, has: 1, &received)
            let before = received[1, default: 0]
            await Self.receive(from: peer, untilStream: 3, has: 4 << 20, &received)
            #expect(received[3] == 4 << 20)
            let repaired = received[1, default: 0] - before
            // A fifth of what went out meanwhile.
            #expect(repaired > 0)
            #expect(repaired <= 3 << 19, "\(repaired) bytes of repair went between")
            await Self.receive(from: peer, untilStream: 1, has: 32 << 20, &received)
            #expect(received[1] == 32 << 20)
            await peer.close()
        }
    }

    private static func ask(
        _ peer: RawPeer,
        _ record: TestRecord,
        _ priority: RequestPriority,
        stream: UInt32
    ) async {
        let request = GetRequest(
            recordID: record.request.recordID,
            range: nil,
            credit: record.request.payloadByteCount,
            timeoutMilliseconds: 0
        )
        await peer.send(.get(request), flags: MessageFlags(priority), stream: stream)
    }

    /// Counts bytes of DATA by stream, until one has so many or the connection ends.
    private static func receive(
        from peer: RawPeer,
        untilStream stream: UInt32,
        has byteCount: Int,
        _ received: inout [UInt32: Int]
    ) async {
        while received[stream, default: 0] < byteCount {
            guard let message = await peer.next() else { return }
            guard case .data(let bytes) = message.message else { continue }
            received[message.header.streamID, default: 0] += bytes.readableBytes
        }
    }

    @Test func repairWaitsForMemoryBehindForeground() async throws {
        let service = FakeService(gate: Gate())
        var limits = Loopback.patientLimits
        limits.maximumConnections = 4
        let memory = ReplicationMemoryBudget(byteCount: 4 * limits.connectionCreditByteCount + 3 << 20)
        try await Loopback.run(service, limits: limits, memory: memory) { loopback in
            try await loopback.withClient { client in
                let records = (1...5).map { TestRecord(UInt64($0), byteCount: 2 << 20) }
                async let first = client.put(records[0].request, payload: records[0].payload)
                await service.gate.arrived(1)
                async let repair = client.put(records[1].request, payload: records[1].payload, priority: .repair)
                async let scrub = client.put(records[2].request, payload: records[2].payload, priority: .scrub)
                try await Loopback.roundTrips(of: client) { memory.waiterCount == 2 }
                async let second = client.put(records[3].request, payload: records[3].payload)
                async let third = client.put(records[4].request, payload: records[4].payload)
                try await Loopback.roundTrips(of: client) { memory.waiterCount == 4 }
                service.gate.open()
                _ = try await (first, repair, scrub, second, third)
                let order = service.state.withLockedValue { $0.putOrder }
                let foreground = Set([records[3], records[4]].map(\.request.recordID))
                #expect(Set(order[1...2]) == foreground)
                #expect(order[3...] == [records[1].request.recordID, records[2].request.recordID])
                #expect(memory.lentByteCount == 0)
            }
        }
    }

    @Test func priorityTravelsWithTheRequest() async throws {
        let seen = Seen()
        try await ScriptedServer.run { message, responder in
            switch message.message {
            case .hello: responder.accept()
            case .status:
                seen.note(message.header.flags.priority)
                let report = NodeStatusReport(recordCount: 0, usedBytes: 0, freeBytes: 0, acceptsWrites: true)
                responder.send(.statusResult(report), stream: message.header.streamID)
            case .get, .head, .verify, .list, .putBegin:
                seen.note(message.header.flags.priority)
                responder.send(.error(ReplicationError(.notFound, "no")), stream: message.header.streamID)
            default: break
            }
        } body: { server in
            try await Loopback.withClient(port: server.port) { client in
                _ = try await client.status()
                let id = TestRecord.id(1)
                _ = await failure(of: { () throws(ReplicationError) in try await client.get(id, priority: .repair) })
                _ = await failure(of: { () throws(ReplicationError) in try await client.head(id, priority: .scrub) })
                _ = await failure(of: { () throws(ReplicationError) in try await client.verify(id) })
                let record = TestRecord(1, byteCount: 1)
                _ = await failure(of: { () throws(ReplicationError) in
                    try await client.put(record.request, payload: record.payload, priority: .repair)
                })
                #expect(seen.all == [.control, .repair, .scrub, .foreground, .repair])
            }
        }
    }
}

/// Priorities in the order in which they came.
private final class Seen: Sendable {
    private let box = NIOLockedValueBox<[RequestPriority]>([])

    var all: [RequestPriority] { box.withLockedValue { $0 } }

    func note(_ priority: RequestPriority) {
        box.withLockedValue { $0.append(priority) }
    }
}
