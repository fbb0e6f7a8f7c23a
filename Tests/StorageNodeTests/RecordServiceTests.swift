// SPDX-License-Identifier: Apache-2.0

import Checksums
import Foundation
import Logging
import NIOCore
import NIOPosix
import Placement
import ReplicationProtocol
import ReplicationTransport
import SegmentStore
import StorageNode
import Testing

/// The service over a store on disk, asked through a connection.
@Suite(.timeLimit(.minutes(5)))
struct RecordServiceTests {
    private static let cluster = ClusterID(high: 1, low: 2)
    private static let stamp = OrderStamp(term: Term(rawValue: 3), mapEpoch: MapEpoch(rawValue: 7))

    private struct Node {
        let id: NodeID
        let port: Int
        let client: ReplicationClient
        let store: SegmentStore
    }

    private static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

    /// A client that never gives up because the machine is busy.
    private static var patient: ReplicationClientConfiguration {
        var configuration = ReplicationClientConfiguration()
        configuration.requestTimeout = .minutes(5)
        configuration.connectTimeout = .minutes(1)
        configuration.pingTimeout = .minutes(1)
        return configuration
    }

    private static func withDirectory(_ body: (String) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(directory))
        } catch {
            result = .failure(error)
        }
        // A directory left behind in the temporary folder harms nobody.
        try? FileManager.default.removeItem(atPath: directory)
        try result.get()
    }

    /// Runs `body` with a node whose data is in `directory`; a hasty one has small segments and no grace.
    private static func withNode(
        _ number: UInt64,
        in directory: String,
        isHasty: Bool = false,
        body: (Node) async throws -> Void
    ) async throws {
        let id = NodeID(high: 9, low: number)
        var configuration = SegmentStore.Configuration(directory: directory, clusterID: cluster, nodeID: id)
        configuration.segmentByteCount = 64 << 20
        configuration.softLimitFreeBytes = 0
        if isHasty {
            configuration.segmentByteCount = 1 << 20
            configuration.allocationByteCount = 1 << 20
            configuration.deletionGrace = .zero
            configuration.trashGrace = .zero
        }
        let store = try SegmentStore.open(configuration, logger: quiet)
        let group = MultiThreadedEventLoopGroup.singleton
        let identity = HelloIdentity(clusterID: cluster, nodeID: id, incarnation: 1, role: .storage)
        let fetcher = RecordFetcher(identity: identity, group: group, logger: quiet, configuration: patient)
        let server = ReplicationServer(
            configuration: ReplicationServerConfiguration(host: "127.0.0.1", port: 0, identity: identity),
            service: RecordService(store: store, fence: FenceFile(directory: directory), fetcher: fetcher),
            group: group,
            logger: quiet
        )
        let port = try await server.start()
        let client = ReplicationClient(
            host: "127.0.0.1",
            port: port,
            identity: HelloIdentity(
                clusterID: cluster,
                nodeID: NodeID(high: 8, low: 8),
                incarnation: 1,
                role: .coordinator
            ),
            expectedNodeID: id,
            group: group,
            logger: quiet,
            configuration: patient
        )
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(Node(id: id, port: port, client: client, store: store)))
        } catch {
            result = .failure(error)
        }
        await client.shutdown()
        await server.shutdown()
        await fetcher.shutdown()
        await store.close()
        try result.get()
    }

    private static func id(_ low: UInt64) throws -> RecordID {
        try #require(RecordID(high: 5 << 48 | 1, low: low))
    }

    private static func put(_ low: UInt64, byteCount: Int, at client: ReplicationClient) async throws -> PutRequest {
        let payload = ByteBuffer(repeating: UInt8(truncatingIfNeeded: low), count: byteCount)
        let request = PutRequest(
            recordID: try id(low),
            recordType: 1,
            metadata: ByteBuffer(string: "metadata of \(low)"),
            payloadByteCount: UInt64(byteCount),
            payloadDigest: SHA256Hasher.digest(of: payload),
            mapEpoch: MapEpoch(rawValue: 7)
        )
        _ = try await client.put(request, payload: payload)
        return request
    }

    @Test func `two nodes with the same records have the same digest`() async throws {
        try await Self.withDirectory { first in
            try await Self.withDirectory { second in
                try await Self.withNode(1, in: first) { one in
                    try await Self.withNode(2, in: second) { other in
                        for low: UInt64 in [3, 1, 2] { _ = try await Self.put(low, byteCount: 1000, at: one.client) }
                        for low: UInt64 in [1, 2, 3] { _ = try await Self.put(low, byteCount: 1000, at: other.client) }
                        let group = try Self.id(0)
                        let parts = try await one.client.digest(prefix: group)
                        #expect(parts.map(\.recordCount) == [3])
                        #expect(try await other.client.digest(prefix: group) == parts)
                        _ = try await Self.put(4, byteCount: 10, at: other.client)
                        #expect(try await other.client.digest(prefix: group) != parts)
                        let narrow = try await other.client.digest(
                            prefix: try Self.id(4),
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
        try await Self.withDirectory { directory in
            try await Self.withNode(1, in: directory) { node in
                try await withThrowingTaskGroup(of: Void.self) { tasks in
                    for hundred: UInt64 in 0..<11 {
                        tasks.addTask {
                            for low in hundred * 100..<hundred * 100 + 100 {
                                _ = try await Self.put(low, byteCount: 1, at: node.client)
                            }
                        }
                    }
                    try await tasks.waitForAll()
                }
                #expect(try await node.client.digest(prefix: try Self.id(0)).map(\.recordCount) == [1100])
            }
        }
    }

    /// A whole one, and one that is written as it comes.
    @Test(arguments: [100_000, 20 << 20])
    func `a node pulls a record from another`(byteCount: Int) async throws {
        try await Self.withDirectory { first in
            try await Self.withDirectory { second in
                try await Self.withNode(1, in: first) { source in
                    try await Self.withNode(2, in: second) { target in
                        let request = try await Self.put(1, byteCount: byteCount, at: source.client)
                        let outcome = try await target.client.pull(
                            request.recordID,
                            Self.stamp,
                            from: source.id,
                            host: "127.0.0.1",
                            port: source.port
                        )
                        #expect(outcome == .stored)
                        try await target.client.verify(request.recordID)
                        let head = try await target.client.head(request.recordID)
                        #expect(head?.metadata == request.metadata)
                        #expect(head?.payloadDigest == request.payloadDigest)
                    }
                }
            }
        }
    }

    @Test func `a term outlives the node's process`() async throws {
        try await Self.withDirectory { directory in
            try await Self.withNode(1, in: directory) { node in
                _ = try await node.client.announceMap(Self.stamp, isMember: true)
            }
            try await Self.withNode(1, in: directory) { node in
                try await node.client.waitUntilConnected()
                #expect(node.client.peer?.term == Self.stamp.term)
                #expect(node.client.peer?.mapEpoch == Self.stamp.mapEpoch)
                await #expect(throws: ReplicationError.self) {
                    let older = OrderStamp(term: Term(rawValue: 2), mapEpoch: Self.stamp.mapEpoch)
                    _ = try await node.client.announceMap(older, isMember: true)
                }
            }
        }
    }

    // MARK: - Amendments

    private static func amendment(
        _ kind: RecordAmendment.Kind,
        of low: UInt64,
        term: UInt64 = 3,
        sequence: UInt64,
        byteCount: Int = 10
    ) throws -> RecordAmendment {
        RecordAmendment(
            recordID: try id(low),
            kind: kind,
            order: RecordAmendment.Order(term: Term(rawValue: term), sequence: sequence),
            reference: ReferenceID(high: 1, low: 1),
            issuedAtMilliseconds: 1_790_000_000_000,
            payload: ByteBuffer(repeating: 7, count: byteCount)
        )
    }

    private static func amend(
        _ node: Node,
        _ amendment: RecordAmendment,
        _ stamp: OrderStamp
    ) async throws -> PutOutcome {
        try await node.client.amend(amendment, stamp)
    }

    private static func code(of body: () async throws -> PutOutcome) async throws -> ReplicationError.Code? {
        do {
            _ = try await body()
            return nil
        } catch let error as ReplicationError {
            return error.code
        }
    }

    @Test func `a tombstone takes a record away, unless a hold forbids it`() async throws {
        try await Self.withDirectory { directory in
            try await Self.withNode(1, in: directory) { node in
                let request = try await Self.put(1, byteCount: 10, at: node.client)
                let hold = try Self.amendment(.hold, of: 1, sequence: 1)
                #expect(try await Self.amend(node, hold, Self.stamp) == .stored)
                #expect(try await Self.amend(node, hold, Self.stamp) == .alreadyStored)
                let tombstone = try Self.amendment(.tombstone, of: 1, sequence: 2)
                let code1 = try await Self.code { try await Self.amend(node, tombstone, Self.stamp) }
                #expect(code1 == .held)
                let release = try Self.amendment(.release, of: 1, sequence: 3)
                #expect(try await Self.amend(node, release, Self.stamp) == .stored)
                let again = try Self.amendment(.tombstone, of: 1, sequence: 4)
                #expect(try await Self.amend(node, again, Self.stamp) == .stored)
                let gone = try await Self.code {
                    _ = try await node.client.head(request.recordID)
                    return .stored
                }
                #expect(gone == .notFound)
                let page = try await node.client.amendments(from: request.recordID, to: request.recordID)
                #expect(page == AmendmentPage([hold, release, again], hasMore: false))
                let parts = try await node.client.digest(prefix: request.recordID)
                #expect(parts.map(\.recordCount) == [0])
            }
        }
    }

    @Test func `a term that came with an order is known to store and fence alike`() async throws {
        try await Self.withDirectory { directory in
            let tombstone = try Self.amendment(.tombstone, of: 1, sequence: 1)
            try await Self.withNode(1, in: directory) { node in
                let outcome = try await Self.amend(node, tombstone, Self.stamp)
                #expect(outcome == .stored)
            }
            try await Self.withNode(1, in: directory) { node in
                let stale = OrderStamp(term: Term(rawValue: 2), mapEpoch: Self.stamp.mapEpoch)
                let other = try Self.amendment(.tombstone, of: 2, term: 2, sequence: 1)
                let code2 = try await Self.code { try await Self.amend(node, other, stale) }
                #expect(code2 == .staleTerm)
                let hold = try Self.amendment(.hold, of: 2, term: 2, sequence: 2)
                #expect(try await Self.amend(node, hold, stale) == .stored)
            }
        }
    }

    /// Pages end by count, by bytes and by the range; nothing is left out and nothing comes twice.
    @Test(arguments: [1, 2, 5, 1024])
    func `amendments are listed page by page`(limit: Int) async throws {
        try await Self.withDirectory { directory in
            try await Self.withNode(1, in: directory) { node in
                var expected: [RecordAmendment] = []
                for low: UInt64 in 1...3 {
                    for sequence: UInt64 in 1...3 {
                        let note = try Self.amendment(.firstOther, of: low, sequence: sequence, byteCount: 60_000)
                        _ = try await Self.amend(node, note, Self.stamp)
                        expected.append(note)
                    }
                }
                var found: [RecordAmendment] = []
                var first = try Self.id(0)
                var order = RecordAmendment.Order(term: Term(rawValue: 0), sequence: 0)
                while true {
                    let page = try await node.client.amendments(
                        from: first,
                        firstOrder: order,
                        to: try Self.id(2),
                        limit: limit
                    )
                    #expect(page.amendments.count <= min(limit, 4))
                    found += page.amendments
                    guard page.hasMore, let last = page.amendments.last else { break }
                    first = last.recordID
                    order = RecordAmendment.Order(term: last.order.term, sequence: last.order.sequence + 1)
                }
                #expect(found == Array(expected[..<6]))
            }
        }
    }

    @Test func `a permit empties the trash of what was retired before`() async throws {
        try await Self.withDirectory { directory in
            try await Self.withNode(1, in: directory, isHasty: true) { node in
                // Segments of which nothing counts any more, and the active one.
                for low: UInt64 in 1...12 { _ = try await Self.put(low, byteCount: 300_000, at: node.client) }
                for low: UInt64 in 1...12 {
                    _ = try await Self.amend(node, Self.amendment(.tombstone, of: low, sequence: low), Self.stamp)
                }
                while try await node.store.compactNext() != nil {}
                let trash = node.store.status.trash
                #expect(trash.count >= 2)
                let early = try await Self.purge(node, before: 0)
                #expect(early == PurgeResult(purgedSegmentCount: 0, remainingSegmentCount: 0))
                let one = try await Self.purge(node, before: .max, atMost: 1)
                #expect(one == PurgeResult(purgedSegmentCount: 1, remainingSegmentCount: UInt64(trash.count) - 1))
                let rest = try await Self.purge(node, before: .max)
                #expect(rest == PurgeResult(purgedSegmentCount: UInt64(trash.count) - 1, remainingSegmentCount: 0))
                #expect(node.store.status.trash.isEmpty)
                let stale = try await Self.code {
                    _ = try await Self.purge(node, before: .max, term: 2)
                    return .stored
                }
                #expect(stale == .staleTerm)
            }
        }
    }

    @Test func `what nothing needs any more goes to the trash by itself`() async throws {
        try await Self.withDirectory { directory in
            try await Self.withNode(1, in: directory, isHasty: true) { node in
                for low: UInt64 in 1...12 { _ = try await Self.put(low, byteCount: 300_000, at: node.client) }
                let compacting = Task {
                    await Compactor(node.store, interval: .milliseconds(5), logger: Self.quiet).run()
                }
                for low: UInt64 in 1...11 {
                    _ = try await Self.amend(node, Self.amendment(.tombstone, of: low, sequence: low), Self.stamp)
                }
                // The suite's time limit ends a wait that never does.
                while node.store.status.trash.count < 2 { try await Task.sleep(for: .milliseconds(5)) }
                try await node.client.verify(Self.id(12))
                compacting.cancel()
                await compacting.value
                let other = Task { await Compactor(node.store, interval: .milliseconds(5), logger: Self.quiet).run() }
                await node.store.close()
                await other.value
            }
        }
    }

    private static func purge(
        _ node: Node,
        before: UInt64,
        atMost limit: UInt64 = .max,
        term: UInt64 = 3
    ) async throws -> PurgeResult {
        try await node.client.purge(
            permit: ReferenceID(high: 1, low: 1),
            OrderStamp(term: Term(rawValue: term), mapEpoch: stamp.mapEpoch),
            retiredBeforeMilliseconds: before,
            maximumSegmentCount: limit
        )
    }

    @Test func `a status says what checking has found`() async throws {
        try await Self.withDirectory { directory in
            try await Self.withNode(1, in: directory) { node in
                let status = try await node.client.status()
                #expect(status.scrub?.quarantinedCount == 0)
                #expect(status.scrub?.oldestUnverifiedSeconds != nil)
            }
        }
    }
}
