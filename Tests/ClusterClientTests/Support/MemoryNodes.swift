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

/// Storage nodes in this process that keep one record in memory, and a client of them.
enum MemoryNodes {
    private static let cluster = ClusterID(high: 1, low: 2)

    private static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

    /// Nodes on hosts of their own, and a client of two copies that both have to be durable.
    static func with(
        _ services: [MemoryService],
        configure: (inout ClusterClient.Configuration) -> Void = { _ in },
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
        configure(&configuration)
        let client = ClusterClient(
            configuration: configuration,
            identity: HelloIdentity(clusterID: cluster, nodeID: NodeID(high: 8, low: 8), incarnation: 1, role: .ingest),
            group: group,
            logger: quiet
        )
        let result: Result<Void, any Error>
        do {
            await client.update(PlacementMap(epoch: MapEpoch(rawValue: 1), members: members))
            while client.connectedNodes.count < members.count { try await Task.sleep(for: .milliseconds(1)) }
            result = .success(try await body(client, byNode))
        } catch {
            result = .failure(error)
        }
        await client.shutdown()
        for server in servers { await server.shutdown() }
        try result.get()
    }
}

/// A node for one record, which can lose the answer to a put that it has carried out.
final class MemoryService: ReplicationService {
    struct State {
        var digest: SHA256Digest?
        var putCount = 0
        var losesNextAnswer = false
        var reading = Reading.absent
        var getCount = 0
    }

    /// What a get comes to.
    enum Reading: Sendable {
        case absent
        case damaged
        /// This payload.
        case whole(ByteBuffer)
        /// No answer until whoever asks gives up.
        case silent
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

    func get(
        _ id: RecordID,
        range: Range<UInt64>?,
        isBackground: Bool
    ) async throws(ReplicationError) -> GetSource {
        let reading = state.withLockedValue { state in
            state.getCount += 1
            return state.reading
        }
        switch reading {
        case .absent: throw ReplicationError(.notFound, "it is not here")
        case .damaged: throw ReplicationError(.corrupt, "a block is not what was written")
        case .whole(let payload):
            let whole = 0..<UInt64(payload.readableBytes)
            return GetSource(
                payloadByteCount: UInt64(payload.readableBytes),
                payloadDigest: SHA256Hasher.digest(of: payload),
                range: range ?? whole,
                first: payload,
                next: { () throws(ReplicationError) in nil }
            )
        case .silent:
            // The request is withdrawn when the other copy has answered.
            while !Task.isCancelled { try? await Task.sleep(for: .seconds(3600)) }
            throw ReplicationError(.cancelled, "given up")
        }
    }

    func verify(_ id: RecordID) async throws(ReplicationError) {}

    func list(group: PlacementGroup, after: RecordID?, limit: Int) async throws(ReplicationError) -> [RecordID] { [] }

    func nodeStatus() async -> NodeStatusReport {
        NodeStatusReport(recordCount: 0, usedBytes: 0, freeBytes: 0, acceptsWrites: true)
    }

    func fencePosition() async throws(ReplicationError) -> FencePosition { FencePosition() }
    func persist(_ position: FencePosition) async throws(ReplicationError) {}
}
