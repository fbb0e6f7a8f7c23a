// SPDX-License-Identifier: Apache-2.0

import Checksums
import Logging
import NIOCore
import NIOPosix
import Placement
import ReplicationProtocol
import ReplicationTransport

/// A server with a service of the test's choice, and clients that talk to it.
struct Loopback {
    static let cluster = ClusterID(high: 0xc1, low: 1)
    static let node = NodeID(high: 0xd0, low: 1)
    static let ingest = NodeID(high: 0xd0, low: 2)
    static var group: MultiThreadedEventLoopGroup { .singleton }

    static var quiet: Logger {
        var logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        logger.logLevel = .critical
        return logger
    }

    /// A client that never gives up because the machine is busy.
    static var patient: ReplicationClientConfiguration {
        var configuration = ReplicationClientConfiguration()
        configuration.requestTimeout = .minutes(5)
        configuration.connectTimeout = .minutes(1)
        configuration.pingTimeout = .minutes(1)
        // Of its own: other tests borrow at the same time.
        configuration.memory = ReplicationMemoryBudget(byteCount: 512 << 20)
        return configuration
    }

    /// A server that never gives up because the machine is busy.
    static var patientLimits: ReplicationServerConfiguration.Limits {
        var limits = ReplicationServerConfiguration.Limits()
        limits.handshakeTimeout = .minutes(5)
        limits.idleTimeout = .minutes(5)
        return limits
    }

    let server: ReplicationServer
    let port: Int

    /// Runs `body` with a server, and stops it afterwards.
    static func run(
        _ service: any ReplicationService,
        limits: ReplicationServerConfiguration.Limits = Self.patientLimits,
        memory: ReplicationMemoryBudget? = nil,
        tls: ReplicationTLS? = nil,
        localSocket: String? = nil,
        role: NodeRole = .storage,
        gracePeriod: TimeAmount = .minutes(1),
        body: (Loopback) async throws -> Void
    ) async throws {
        var configuration = ReplicationServerConfiguration(
            host: "127.0.0.1",
            port: 0,
            identity: HelloIdentity(clusterID: cluster, nodeID: node, incarnation: 1, role: role)
        )
        configuration.limits = limits
        configuration.tls = tls
        configuration.localSocket = localSocket
        if let memory { configuration.memory = memory }
        let server = ReplicationServer(configuration: configuration, service: service, group: group, logger: quiet)
        let port = try await server.start()
        do {
            try await body(Loopback(server: server, port: port))
        } catch {
            await server.shutdown(gracePeriod: .zero)
            throw error
        }
        await server.shutdown(gracePeriod: gracePeriod)
    }

    /// Runs `body` with a client of the server, and stops it afterwards.
    func withClient(
        cluster: ClusterID = Self.cluster,
        expecting: NodeID? = Self.node,
        named name: String? = nil,
        role: NodeRole = .ingest,
        configuration: ReplicationClientConfiguration = Self.patient,
        body: (ReplicationClient) async throws -> Void
    ) async throws {
        try await Self.withClient(
            port: port,
            cluster: cluster,
            expecting: expecting,
            named: name,
            role: role,
            configuration: configuration,
            body: body
        )
    }

    static func withClient(
        port: Int,
        localSocket: String? = nil,
        cluster: ClusterID = Self.cluster,
        expecting: NodeID? = Self.node,
        named name: String? = nil,
        role: NodeRole = .ingest,
        configuration: ReplicationClientConfiguration = Self.patient,
        body: (ReplicationClient) async throws -> Void
    ) async throws {
        let identity = HelloIdentity(clusterID: cluster, nodeID: Self.ingest, incarnation: 1, role: role)
        let client = ReplicationClient(
            host: "127.0.0.1",
            port: port,
            localSocket: localSocket,
            identity: identity,
            expectedNodeID: expecting,
            expectedName: name,
            group: Self.group,
            logger: Self.quiet,
            configuration: configuration
        )
        do {
            try await body(client)
        } catch {
            await client.shutdown(gracePeriod: .zero)
            throw error
        }
        await client.shutdown()
    }
}

extension Loopback {
    /// Waits for what a task or an event loop is about to bring about, by one round trip after another, not by time.
    static func roundTrips(of client: ReplicationClient, until condition: () -> Bool) async throws {
        for _ in 0..<100_000 {
            if condition() { return }
            _ = try await client.ping()
        }
        throw ReplicationError(.internal, "100,000 round trips have not brought about what the test waits for")
    }
}

/// A record made up for a test.
struct TestRecord: Sendable {
    let request: PutRequest
    let payload: ByteBuffer

    /// Bytes that depend on `number` and their place.
    init(_ number: UInt64, byteCount: Int, metadataByteCount: Int = 300) {
        var generator = SplitMix(seed: number)
        self.payload = generator.bytes(byteCount)
        let metadata = generator.bytes(metadataByteCount)
        let digest = SHA256Hasher.digest(of: payload)
        self.request = PutRequest(
            recordID: Self.id(number),
            recordType: 1,
            metadata: metadata,
            payloadByteCount: UInt64(byteCount),
            payloadDigest: digest,
            mapEpoch: MapEpoch(rawValue: 7)
        )
    }

    static func id(_ number: UInt64, group: UInt64 = 5) -> RecordID {
        RecordID(high: group << 48 | 1, low: number) ?? { preconditionFailure("group 5 exists") }()
    }
}

/// A small generator whose numbers are the same on every run.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        self.state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }

    /// Blocks of 4 KiB that differ in their first bytes only: quick to make, and no two are alike.
    mutating func bytes(_ count: Int) -> ByteBuffer {
        var block = ByteBuffer()
        while block.readableBytes < 4096 { block.writeInteger(next()) }
        var buffer = ByteBuffer()
        buffer.reserveCapacity(count + block.readableBytes)
        while buffer.readableBytes < count {
            block.setInteger(next(), at: 0)
            buffer.writeImmutableBuffer(block)
        }
        return buffer.getSlice(at: 0, length: count) ?? buffer
    }
}
