// SPDX-License-Identifier: Apache-2.0

import ClusterClient
import NIOConcurrencyHelpers
import NIOCore
import Placement
import Testing

/// Reads while copies are slow, damaged or gone.
///
/// Nothing here ends if a slow copy is waited for.
@Suite(.timeLimit(.minutes(5)))
struct SlowCopyTests {
    private let payload = ByteBuffer(repeating: 7, count: 1000)

    private func record() throws -> RecordID { try #require(RecordID(high: 5 << 48 | 1, low: 1)) }

    private func read(
        _ readings: [MemoryService.Reading],
        _ body: (ClusterClient, [MemoryService], [NodeID]) async throws -> Void
    ) async throws {
        let services = readings.map { reading in
            let service = MemoryService()
            service.state.withLockedValue { $0.reading = reading }
            return service
        }
        let configure: (inout ClusterClient.Configuration) -> Void = { configuration in
            configuration.minimumReadPatience = .milliseconds(1)
            configuration.unknownReadPatience = .milliseconds(1)
        }
        try await MemoryNodes.with(services, configure: configure) { client, byNode in
            let nodes = services.compactMap { service in byNode.first { $0.value === service }?.key }
            try await body(client, services, nodes)
        }
    }

    @Test func `a copy that does not answer is overtaken by the next`() async throws {
        let record = try record()
        try await read([.silent, .whole(payload), .absent]) { client, services, nodes in
            #expect(client.readOrder(of: record, copies: [nodes[0], nodes[1]]).first == nodes[0])
            let answer = try await client.read(record, copies: [nodes[0], nodes[1]], range: nil)
            #expect(answer == payload)
            #expect(client.hedgedReadCount >= 1)
            // Once at most: the request may be withdrawn before the node has heard of it.
            #expect(services[0].state.withLockedValue { $0.getCount } <= 1)
            // What is known to be slow is not the first to be asked again.
            #expect(client.readOrder(of: record, copies: [nodes[0], nodes[1]]).first == nodes[1])
        }
    }

    @Test func `what is under way is counted until it ends, however it ends`() async throws {
        let record = try record()
        try await read([.whole(payload), .whole(payload), .damaged]) { client, _, nodes in
            for order in [[0, 1, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
                for _ in 0..<5 { _ = try await client.read(record, copies: order.map { nodes[$0] }, range: nil) }
            }
            #expect(client.readsUnderWay.values.allSatisfy { $0 == 0 }, "\(client.readsUnderWay)")
        }
    }

    @Test func `a damaged copy beside a slow one is passed over for the third`() async throws {
        let record = try record()
        try await read([.silent, .damaged, .whole(payload)]) { client, _, nodes in
            let answer = try await client.read(record, copies: nodes, range: nil)
            #expect(answer == payload)
        }
    }

    @Test func `a record that no node has is not found, and one that is damaged is not readable`() async throws {
        let record = try record()
        for (readings, code): ([MemoryService.Reading], ClusterError.Code) in [
            ([.absent, .absent, .absent], .notFound), ([.absent, .damaged, .absent], .noReadableCopy),
        ] {
            try await read(readings) { client, _, nodes in
                let error = await #expect(throws: ClusterError.self) {
                    try await client.read(record, copies: nodes, range: nil)
                }
                #expect(error?.code == code)
            }
        }
    }

    @Test func `when all copies are slow no more than the first few are asked twice`() async throws {
        let record = try record()
        try await read([.silent, .silent, .absent]) { client, services, nodes in
            // Each read waits; all are given up together.
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for _ in 0..<40 {
                    tasks.addTask { _ = try? await client.read(record, copies: [nodes[0], nodes[1]], range: nil) }
                }
                let asked = { services.reduce(0) { $0 + $1.state.withLockedValue { $0.getCount } } }
                // 40 first requests, and second ones as long as the budget lasts: 10, and 4 for the reads.
                while asked() < 50 { try await Task.sleep(for: .milliseconds(1)) }
                #expect(client.hedgedReadCount <= 14)
                tasks.cancelAll()
            }
        }
    }
}
