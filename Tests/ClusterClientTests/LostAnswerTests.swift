// SPDX-License-Identifier: Apache-2.0

import Checksums
import ClusterClient
import NIOConcurrencyHelpers
import NIOCore
import Placement
import ReplicationProtocol
import Testing

/// A write to nodes of which one loses its answer.
@Suite(.timeLimit(.minutes(5)))
struct LostAnswerTests {
    private static func request(payload: ByteBuffer) throws -> PutRequest {
        PutRequest(
            recordID: try #require(RecordID(high: 5 << 48 | 1, low: 1)),
            recordType: 1,
            metadata: ByteBuffer(string: "metadata"),
            payloadByteCount: UInt64(payload.readableBytes),
            payloadDigest: SHA256Hasher.digest(of: payload),
            mapEpoch: MapEpoch(rawValue: 1)
        )
    }

    @Test(arguments: [false, true])
    func `the node that lost its answer is asked again before another is chosen`(isStreamed: Bool) async throws {
        let services = (0..<3).map { _ in MemoryService() }
        let payload = ByteBuffer(repeating: 7, count: 1000)
        let request = try Self.request(payload: payload)
        try await MemoryNodes.with(services) { client, byNode in
            let map = try #require(client.map)
            let holders = map.holders(of: request.recordID.group, copies: 2)
            let forgetful = try #require(byNode[holders[0]])
            forgetful.state.withLockedValue { $0.losesNextAnswer = true }
            let nodes =
                isStreamed
                ? try await client.write(request, chunks: Pieces(payload: payload))
                : try await client.write(request, pieces: [payload])
            #expect(Set(nodes) == Set(holders))
            for (node, service) in byNode {
                let (putCount, hasRecord) = service.state.withLockedValue { ($0.putCount, $0.digest != nil) }
                #expect(hasRecord == holders.contains(node))
                #expect(putCount == (node == holders[0] ? 2 : node == holders[1] ? 1 : 0))
            }
        }
    }
}

/// A payload in two pieces, as often as it is asked for.
private struct Pieces: AsyncSequence, Sendable {
    typealias Element = ByteBuffer

    let payload: ByteBuffer

    struct AsyncIterator: AsyncIteratorProtocol {
        var rest: ByteBuffer

        mutating func next() async -> ByteBuffer? {
            guard rest.readableBytes > 0 else { return nil }
            return rest.readSlice(length: (rest.readableBytes + 1) / 2)
        }
    }

    func makeAsyncIterator() -> AsyncIterator { AsyncIterator(rest: payload) }
}
