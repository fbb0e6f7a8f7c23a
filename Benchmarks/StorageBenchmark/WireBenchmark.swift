// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import NIOPosix
import Placement
import ReplicationProtocol
import ReplicationTransport
import SegmentFormat

/// Puts records to a storage node and reads them back, several requests at once, over one connection each.
struct WireBenchmark {
    let host: String
    let port: Int
    let cluster: ClusterID
    /// Nil for plain TCP.
    let tls: ReplicationTLS?
    let connections: Int

    /// Seconds and this process's processor seconds of all puts, then of all reads.
    func run(records: Int, byteCount: Int) async throws -> [Double] {
        var configuration = ReplicationClientConfiguration()
        configuration.tls = tls
        var clients: [ReplicationClient] = []
        for number in 0..<connections {
            let client = ReplicationClient(
                host: host,
                port: port,
                identity: HelloIdentity(
                    clusterID: cluster,
                    nodeID: NodeID(high: 9, low: UInt64(number)),
                    incarnation: 1,
                    role: .tool
                ),
                expectedNodeID: nil,
                group: MultiThreadedEventLoopGroup.singleton,
                logger: StorageBenchmark.quiet(),
                configuration: configuration
            )
            try await client.waitUntilConnected()
            clients.append(client)
        }
        // Other records at each run.
        let first = Int.random(in: 0..<1 << 40)
        let payloads = (0..<64).map { StorageBenchmark.payload($0, byteCount: byteCount) }
        let digests = payloads.map { SHA256Hasher.digest(of: $0) }
        let requests = try (0..<records).map { number in
            PutRequest(
                recordID: try StorageBenchmark.id(first + number),
                recordType: RecordType.instance.rawValue,
                metadata: ByteBuffer(repeating: 7, count: 500),
                payloadByteCount: UInt64(byteCount),
                payloadDigest: digests[number % 64],
                mapEpoch: MapEpoch(rawValue: 0)
            )
        }
        let puts = try await Self.measure(clients, count: records) { client, number in
            _ = try await client.put(requests[number], pieces: [payloads[number % 64]])
        }
        let reads = try await Self.measure(clients, count: records) { client, number in
            let payload = try await client.get(requests[number].recordID)
            guard payload.readableBytes == byteCount else { throw BenchmarkError("a payload has the wrong length") }
        }
        for client in clients { await client.shutdown() }
        return puts + reads
    }

    private static func measure(
        _ clients: [ReplicationClient],
        count: Int,
        _ body: @escaping @Sendable (ReplicationClient, Int) async throws -> Void
    ) async throws -> [Double] {
        let before = StorageBenchmark.processorSeconds()
        let duration = try await ContinuousClock().measure {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                for (index, client) in clients.enumerated() {
                    tasks.addTask {
                        for number in stride(from: index, to: count, by: clients.count) {
                            try await body(client, number)
                        }
                    }
                }
                try await tasks.waitForAll()
            }
        }
        return [duration.inSeconds, (StorageBenchmark.processorSeconds() - before).rounded(toPlaces: 3)]
    }
}
