// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport
import StorageNode
import Testing

/// The service over a store on disk, asked through a connection.
@Suite(.timeLimit(.minutes(5)))
struct RecordServiceTests {
    @Test func `two nodes with the same records have the same digest`() async throws {
        try await ServedNode.withDirectory { first in
            try await ServedNode.withDirectory { second in
                try await ServedNode.with(1, in: first) { one in
                    try await ServedNode.with(2, in: second) { other in
                        for low: UInt64 in [3, 1, 2] { try await one.put(low, byteCount: 1000) }
                        for low: UInt64 in [1, 2, 3] { try await other.put(low, byteCount: 1000) }
                        let group = try Fixture.id(0)
                        let parts = try await one.client.digest(prefix: group)
                        #expect(parts.map(\.recordCount) == [3])
                        #expect(try await other.client.digest(prefix: group) == parts)
                        try await other.put(4, byteCount: 10)
                        #expect(try await other.client.digest(prefix: group) != parts)
                        let narrow = try await other.client.digest(
                            prefix: try Fixture.id(4),
                            prefixBitCount: 126,
                            splitBitCount: 2
                        )
                        #expect(narrow.map(\.recordCount) == [1, 0, 0, 0])
                        let low = try await other.client.digest(prefix: group, prefixBitCount: 126, splitBitCount: 2)
                        #expect(low.map(\.recordCount) == [0, 1, 1, 1])
                    }
                }
            }
        }
    }

    @Test func `a digest goes through more records than a page has`() async throws {
        try await ServedNode.withDirectory { directory in
            try await ServedNode.with(1, in: directory) { node in
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for hundred: UInt64 in 0..<11 {
                        tasks.addTask {
                            for low in hundred * 100..<hundred * 100 + 100 {
                                try await node.put(low, byteCount: 1)
                            }
                        }
                    }
                    try await tasks.waitForAll()
                }
                #expect(try await node.client.digest(prefix: try Fixture.id(0)).map(\.recordCount) == [1100])
            }
        }
    }

    /// A whole one, and one that is written as it comes.
    @Test(arguments: [100_000, 20 << 20])
    func `a node pulls a record from another`(byteCount: Int) async throws {
        try await ServedNode.withDirectory { first in
            try await ServedNode.withDirectory { second in
                try await ServedNode.with(1, in: first) { source in
                    try await ServedNode.with(2, in: second) { target in
                        let request = try await source.put(1, byteCount: byteCount)
                        let outcome = try await target.client.pull(
                            request.recordID,
                            ServedNode.stamp,
                            from: source.id,
                            host: "127.0.0.1",
                            port: source.port
                        )
                        #expect(outcome == .stored)
                        try await target.client.verify(request.recordID)
                        let head = try await target.client.head(request.recordID)
                        #expect(head?.metadata == request.metadata)
                        #expect(head?.payloadDigest == request.payloadDigest)
                        // It has the record, whole: nobody is asked, also where nobody is.
                        let again = try await target.client.pull(
                            request.recordID,
                            ServedNode.stamp,
                            from: source.id,
                            host: "127.0.0.1",
                            port: 1
                        )
                        #expect(again == .alreadyStored)
                    }
                }
            }
        }
    }

    @Test func `a term outlives the node's process`() async throws {
        try await ServedNode.withDirectory { directory in
            try await ServedNode.with(1, in: directory) { node in
                _ = try await node.client.announceMap(ServedNode.stamp, isMember: true)
            }
            try await ServedNode.with(1, in: directory) { node in
                try await node.client.waitUntilConnected()
                #expect(node.client.peer?.term == ServedNode.stamp.term)
                #expect(node.client.peer?.mapEpoch == ServedNode.stamp.mapEpoch)
                await #expect(throws: ReplicationError.self) {
                    let older = OrderStamp(term: Term(rawValue: 2), mapEpoch: ServedNode.stamp.mapEpoch)
                    _ = try await node.client.announceMap(older, isMember: true)
                }
            }
        }
    }

    @Test func `a status says what checking has found`() async throws {
        try await ServedNode.withDirectory { directory in
            try await ServedNode.with(1, in: directory) { node in
                let status = try await node.client.status()
                #expect(status.scrub?.quarantinedCount == 0)
                #expect(status.scrub?.oldestUnverifiedSeconds != nil)
            }
        }
    }
}
