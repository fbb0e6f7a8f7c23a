// SPDX-License-Identifier: Apache-2.0

import Checksums
import ClusterClient
import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import Placement
import ReplicationProtocol
import ReplicationTransport
import Testing

/// A write to nodes of which one loses its answer.
@Suite(.timeLimit(.minutes(5)))
struct LostAnswerTests {
    private static let cluster = ClusterID(high: 1, low: 2)

    private static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

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

    /// Nodes on hosts of their own, and a client of two copies that both have to be durable.
    private static func withNodes(
        _ services: [MemoryService],
        body: (ClusterClient, [NodeID: MemoryService]) async throws -> Void
    ) async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        var servers: [ReplicationServer] = []
        var members: [StorageMember] = []
        var byNode: [NodeID: MemoryService] = [:]
        for (number, service) in services.enumerated() {
            let id = NodeID(high: 9, low: UInt64(number))
            let identity = HelloIdentity(clusterID: cluster, nodeID: id, incarnation: 1, role: .storage)
            let server = ReplicationServer(
                configuration: ReplicationServerConfiguration(host: "127.0.0.1", port: 0, identity: identity),
                service: service,
                group: group,
                logger: quiet
            )
            let port = try await server.start()
            servers.append(server)
            byNode[id] = service
            members.append(
                StorageMember(
                    id: id,
                    name: "storage-\(number)",
                    host: "127.0.0.1",
                    port: port,
                    domain: FailureDomain(site: "s", rack: "r", host: "host-\(number)")
                )
            )
        }
        var configuration = ClusterClient.Configuration(copies: 2, acknowledgements: 2)
        // A busy machine is not a slow node.
        configuration.slowNodeDelay = .seconds(120)
        configuration.connections.requestTimeout = .minutes(5)
        configuration.connections.connectTimeout = .minutes(1)
        configuration.connections.pingTimeout = .minutes(1)
        let client = ClusterClient(
            configuration: configuration,
            identity: HelloIdentity(clusterID: cluster, nodeID: NodeID(high: 8, low: 8), incarnation: 1, role: .ingest),
            group: group,
            logger: quiet
        )
        let result: Result<Void, any Error>
        do {
            await client.update(PlacementMap(epoch: MapEpoch(rawValue: 1), members: members))
            while client.connectedNodes.count < members.count { await Task.yield() }
            result = .success(try await body(client, byNode))
        } catch {
            result = .failure(error)
        }
        await client.shutdown()
        for server in servers { await server.shutdown() }
        try result.get()
    }

    @Test(arguments: [false, true])
    func `the node that lost its answer is asked again before another is chosen`(isStreamed: Bool) async throws {
        let services = (0..<3).map { _ in MemoryService() }
        let payload = ByteBuffer(repeating: 7, count: 1000)
        let request = try Self.request(payload: payload)
        try await Self.withNodes(services) { client, byNode in
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

/// A node for one record, which can lose the answer to a put that it has carried out.
private final class MemoryService: ReplicationService {
    struct State {
        var digest: SHA256Digest?
        var putCount = 0
        var losesNextAnswer = false
    }

    let state = NIOLockedValueBox(State())

    func put(_ request: PutRequest, data: PutData) async throws(ReplicationError) -> PutOutcome {
        if case .stream(let chunks) = data { for try await _ in chunks {} }
        return try state.withLockedValue { state -> Result<PutOutcome, ReplicationError> in
            state.putCount += 1
            let outcome = state.digest == request.payloadDigest ? PutOutcome.alreadyStored : .stored
            state.digest = request.payloadDigest
            guard !state.losesNextAnswer else {
                state.losesNextAnswer = false
                return .failure(ReplicationError(.outcomeUnknown, "as when the connection ends here"))
            }
            return .success(outcome)
        }.get()
    }

    func head(_ id: RecordID) async throws(ReplicationError) -> HeadResult? { nil }

    func get(_ id: RecordID, range: Range<UInt64>?) async throws(ReplicationError) -> GetSource {
        throw ReplicationError(.notFound, "nothing is read here")
    }

    func verify(_ id: RecordID) async throws(ReplicationError) {}

    func list(group: PlacementGroup, after: RecordID?, limit: Int) async throws(ReplicationError) -> [RecordID] { [] }

    func nodeStatus() async -> NodeStatusReport {
        NodeStatusReport(recordCount: 0, usedBytes: 0, freeBytes: 0, acceptsWrites: true)
    }

    func fencePosition() async throws(ReplicationError) -> FencePosition { FencePosition() }
    func persist(_ position: FencePosition) async throws(ReplicationError) {}
}
