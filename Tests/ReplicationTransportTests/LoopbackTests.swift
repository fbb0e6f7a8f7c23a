// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOConcurrencyHelpers
import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport
import Testing

/// Every operation, from client to service and back, over a socket.
@Suite(.timeLimit(.minutes(5)))
struct LoopbackTests {
    @Test(arguments: [
        0, 1, 1000, 110_000, 256 * 1024, 526_000, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5 << 20, 16 << 20,
        (16 << 20) + 1,
        40 << 20,
    ])
    func aPutComesBackAsItWas(byteCount: Int) async throws {
        let service = FakeService()
        try await Loopback.run(service) { loopback in
            try await loopback.withClient { client in
                let record = TestRecord(UInt64(byteCount), byteCount: byteCount)
                #expect(try await client.put(record.request, payload: record.payload) == .stored)
                #expect(try await client.put(record.request, payload: record.payload) == .alreadyStored)
                #expect(service.state.withLockedValue { $0.wholeCount } == (byteCount <= 16 << 20 ? 2 : 0))
                #expect(try await client.get(record.request.recordID) == record.payload)
                let head = try #require(try await client.head(record.request.recordID))
                #expect(head.metadata == record.request.metadata)
                #expect(head.payloadByteCount == UInt64(byteCount))
                #expect(head.payloadDigest == record.request.payloadDigest)
            }
        }
    }

    @Test(arguments: [0, 128 * 1024, 128 * 1024 + 1, 1_500_000, 4 << 20])
    func metadataOfAnyAllowedLengthTravels(byteCount: Int) async throws {
        let service = FakeService()
        try await Loopback.run(service) { loopback in
            try await loopback.withClient { client in
                let record = TestRecord(9, byteCount: 1000, metadataByteCount: byteCount)
                let outcome = try await client.put(record.request, payload: record.payload)
                #expect(outcome == .stored)
                let head = try await client.head(record.request.recordID)
                #expect(head?.metadata == record.request.metadata)
                let tooLong = TestRecord(10, byteCount: 10, metadataByteCount: PutRequest.maximumMetadataByteCount + 1)
                await #expect(throws: ReplicationError.self) {
                    try await client.put(tooLong.request, payload: tooLong.payload)
                }
            }
        }
    }
}
