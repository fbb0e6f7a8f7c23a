// SPDX-License-Identifier: Apache-2.0

import Checksums
import ColdStore
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

/// A storage node that is asked through a connection.
struct ServedNode {
    let id: NodeID
    let port: Int
    let client: ReplicationClient
    let store: NodeStore

    static let stamp = OrderStamp(term: Term(rawValue: 3), mapEpoch: MapEpoch(rawValue: 7))

    /// A client that never gives up because the machine is busy.
    private static var patient: ReplicationClientConfiguration {
        var configuration = ReplicationClientConfiguration()
        configuration.requestTimeout = .minutes(5)
        configuration.connectTimeout = .minutes(1)
        configuration.pingTimeout = .minutes(1)
        return configuration
    }

    static func withDirectory(_ body: (String) async throws -> Void) async throws {
        let directory = FileManager.default.temporaryDirectory.appending(path: UUID().uuidString).path
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        // A directory left behind in the temporary folder harms nobody.
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try await body(directory)
    }

    /// Runs `body` with a node of one disk whose data is in `directory`; a hasty one has small segments and no grace.
    static func with(
        _ number: UInt64,
        in directory: String,
        isHasty: Bool = false,
        coldStores: [ColdPlace]? = nil,
        body: (ServedNode) async throws -> Void
    ) async throws {
        let id = NodeID(high: 9, low: number)
        var configuration = SegmentStore.Configuration(directory: directory, clusterID: Fixture.cluster, nodeID: id)
        configuration.segmentByteCount = 64 << 20
        configuration.softLimitFreeBytes = 0
        if isHasty { configuration.makeHasty() }
        let store = try SegmentStore.open(configuration, logger: Fixture.quiet)
        try await with(NodeStore(store), id: id, home: directory, coldStores: coldStores, body: body)
    }

    /// Runs `body` with a node that serves `store`, which is closed at the end.
    static func with(
        _ store: NodeStore,
        id: NodeID,
        home: String,
        weight: UInt32? = nil,
        coldStores: [ColdPlace]? = nil,
        body: (ServedNode) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let identity = HelloIdentity(clusterID: Fixture.cluster, nodeID: id, incarnation: 1, role: .storage)
        let fetcher = RecordFetcher(identity: identity, group: group, logger: Fixture.quiet, configuration: patient)
        let server = ReplicationServer(
            configuration: ReplicationServerConfiguration(host: "127.0.0.1", port: 0, identity: identity),
            service: RecordService(
                store: store,
                fence: FenceFile(directory: home),
                fetcher: fetcher,
                weight: weight,
                stores: coldStores.map { ColdStores(cluster: Fixture.cluster, allowed: $0) }
            ),
            group: group,
            logger: Fixture.quiet
        )
        let port = try await server.start()
        let client = ReplicationClient(
            host: "127.0.0.1",
            port: port,
            identity: HelloIdentity(
                clusterID: Fixture.cluster,
                nodeID: NodeID(high: 8, low: 8),
                incarnation: 1,
                role: .coordinator
            ),
            expectedNodeID: id,
            group: group,
            logger: Fixture.quiet,
            configuration: patient
        )
        let result: Result<Void, any Error>
        do {
            result = .success(try await body(ServedNode(id: id, port: port, client: client, store: store)))
        } catch {
            result = .failure(error)
        }
        await client.shutdown()
        await server.shutdown()
        await fetcher.shutdown()
        await store.close()
        try result.get()
    }

    // MARK: Requests

    @discardableResult
    func put(_ low: UInt64, byteCount: Int) async throws -> PutRequest {
        let payload = ByteBuffer(repeating: UInt8(truncatingIfNeeded: low), count: byteCount)
        let request = PutRequest(
            recordID: try Fixture.id(low),
            recordType: 1,
            metadata: ByteBuffer(string: "metadata of \(low)"),
            payloadByteCount: UInt64(byteCount),
            payloadDigest: SHA256Hasher.digest(of: payload),
            mapEpoch: MapEpoch(rawValue: 7)
        )
        _ = try await client.put(request, payload: payload)
        return request
    }

    func amend(_ amendment: RecordAmendment, _ stamp: OrderStamp = Self.stamp) async throws -> PutOutcome {
        try await client.amend(amendment, stamp)
    }

    /// What the node says it misses, page by page, and the disks that its cursors named.
    func missing(limit: Int) async throws -> (ids: [RecordID], disks: Set<UInt64>) {
        var ids: [RecordID] = []
        var disks: Set<UInt64> = []
        var cursor: DamageCursor? = .start
        while let first = cursor {
            let report = try await client.damage(from: first, limit: limit)
            #expect(report.missing.count <= limit)
            ids += report.missing
            if let next = report.next {
                #expect(next != first && next.disk >= first.disk)
                disks.insert(next.disk)
            }
            cursor = report.next
        }
        return (ids, disks)
    }

    func purge(before: UInt64, atMost limit: UInt64 = .max, term: UInt64 = 3) async throws -> PurgeResult {
        try await client.purge(
            permit: ReferenceID(high: 1, low: 1),
            OrderStamp(term: Term(rawValue: term), mapEpoch: Self.stamp.mapEpoch),
            retiredBeforeMilliseconds: before,
            maximumSegmentCount: limit
        )
    }
}

extension SegmentStore.Configuration {
    /// Small segments, and no grace for what is deleted.
    mutating func makeHasty() {
        segmentByteCount = 1 << 20
        allocationByteCount = 1 << 20
        deletionGrace = .zero
        trashGrace = .zero
    }
}

extension RecordAmendment {
    init(_ kind: Kind, of low: UInt64, term: UInt64 = 3, sequence: UInt64, byteCount: Int = 10) throws {
        self.init(
            recordID: try Fixture.id(low),
            kind: kind,
            order: Order(term: Term(rawValue: term), sequence: sequence),
            reference: ReferenceID(high: 1, low: 1),
            issuedAtMilliseconds: 1_790_000_000_000,
            payload: ByteBuffer(repeating: 7, count: byteCount)
        )
    }
}

/// The code that `body` is refused with; `nil` when it is not.
func refusal(_ body: () async throws -> Void) async throws -> ReplicationError.Code? {
    do {
        try await body()
        return nil
    } catch let error as ReplicationError {
        return error.code
    }
}
