// SPDX-License-Identifier: Apache-2.0

import ClusterClient
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Placement
import ReplicationTransport
import Testing

/// Reads from an event loop go over a connection on that loop, once it is there.
@Suite(.timeLimit(.minutes(5)))
struct NearConnectionTests {
    /// The loop on which the answer to a read that was begun on `loop` came.
    private func loopOfAnswer(
        _ client: ClusterClient,
        _ record: RecordID,
        _ node: NodeID,
        from loop: any EventLoop
    ) async throws -> ObjectIdentifier? {
        try await withCheckedThrowingContinuation { continuation in
            loop.execute {
                _ = client.startRead(record, copies: [node], range: nil) { result in
                    let answered = MultiThreadedEventLoopGroup.currentEventLoop.map { ObjectIdentifier($0) }
                    continuation.resume(with: result.map { _ in answered }.mapError { $0 as any Error })
                }
            }
        }
    }

    @Test func `each event loop comes to have its own connection to a node, and none waits for it`() async throws {
        let record = try #require(RecordID(high: 5 << 48 | 1, low: 1))
        let service = MemoryService()
        service.state.withLockedValue { $0.reading = .whole(ByteBuffer(repeating: 7, count: 1000)) }
        try await MemoryNodes.with([service]) { client, byNode in
            let node = try #require(byNode.keys.first)
            for loop in Array(MultiThreadedEventLoopGroup.singleton.makeIterator()).prefix(4) {
                // The first answers come over the connection that is there.
                for _ in 0..<100_000 {
                    if try await loopOfAnswer(client, record, node, from: loop) == ObjectIdentifier(loop) { break }
                }
                #expect(try await loopOfAnswer(client, record, node, from: loop) == ObjectIdentifier(loop))
            }
        }
    }
}
