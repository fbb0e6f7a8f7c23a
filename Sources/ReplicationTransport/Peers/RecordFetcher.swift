// SPDX-License-Identifier: Apache-2.0

import Checksums
public import Logging
import NIOConcurrencyHelpers
public import NIOCore
public import Placement
public import ReplicationProtocol

/// Fetches records from other nodes for one that stores them: the working part of PULL.
///
/// Keeps a connection to each node it has fetched from for a while, up to a limit; those used least recently go first. So it does
/// not go on connecting to a node that has left the cluster. Called from the tasks that serve pulls.
public final class RecordFetcher: Sendable {
    /// How much it does at once.
    public struct Limits: Sendable {
        /// Further pulls are told OVERLOADED.
        public var maximumPulls = 16
        /// Connections kept, at least as many as pulls.
        public var maximumConnections = 16
        /// A connection that was not used for so long is ended.
        public var idleTime = TimeAmount.seconds(60)
        /// Payloads up to this are fetched and stored whole; others stream, and say how far they are.
        public var maximumWholePayloadByteCount = 4 << 20

        public init() {}
    }

    /// A node that has records, and its address.
    public struct Source: Hashable, Sendable {
        public let host: String
        public let port: UInt16
        public let node: NodeID

        public init(host: String, port: UInt16, node: NodeID) {
            self.host = host
            self.port = port
            self.node = node
        }
    }

    private struct Connection {
        let client: ReplicationClient
        var useCount = 0
        var lastUse: UInt64 = 0
        /// Whether somebody will look whether it is still used.
        var isWatched = false
    }

    private struct State {
        var connections: [Source: Connection] = [:]
        var pullCount = 0
        var useNumber: UInt64 = 0
        var isShutDown = false
    }

    private let identity: HelloIdentity
    private let group: any EventLoopGroup
    private let logger: Logger
    private let configuration: ReplicationClientConfiguration
    private let limits: Limits
    private let socketDirectory: String?
    private let state = NIOLockedValueBox(State())

    /// Presents itself to its sources as `identity`; those on this host have sockets in `socketDirectory`.
    public init(
        identity: HelloIdentity,
        group: any EventLoopGroup,
        logger: Logger,
        configuration: ReplicationClientConfiguration = ReplicationClientConfiguration(),
        limits: Limits = Limits(),
        socketDirectory: String? = nil
    ) {
        precondition(limits.maximumConnections >= limits.maximumPulls, "every pull has a connection")
        self.identity = identity
        self.group = group
        self.logger = logger
        self.configuration = configuration
        self.limits = limits
        self.socketDirectory = socketDirectory
    }

    /// Fetches a record, compares it with its digest, and puts it into `service`; returns when it is durable there.
    ///
    /// Errors of the source are passed on as they are.
    public func pull(
        _ request: PullRequest,
        into service: some ReplicationService,
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws(ReplicationError) -> PutOutcome {
        let source = Source(host: request.host, port: request.port, node: request.sourceNodeID)
        let (client, evicted) = try takeConnection(to: source)
        defer { giveBack(source) }
        for client in evicted { await client.shutdown() }
        if let (put, payload) = try await whole(request, from: client) {
            return try await service.put(put, data: .whole(payload))
        }
        let put = Self.put(request, try await head(request, from: client))
        progress(PullProgress(receivedByteCount: 0, payloadByteCount: put.payloadByteCount))
        let stream = try await client.getStream(request.recordID, priority: .repair)
        guard stream.payloadDigest == put.payloadDigest, stream.payloadByteCount == put.payloadByteCount else {
            throw ReplicationError(.conflict, "the source has changed the record meanwhile", retry: .otherNode)
        }
        let received = NIOLockedValueBox<UInt64>(0)
        let chunks = stream.chunks.observed { byteCount in
            let total = received.withLockedValue { total in
                total += UInt64(byteCount)
                return total
            }
            progress(PullProgress(receivedByteCount: total, payloadByteCount: put.payloadByteCount))
        }
        return try await service.put(put, data: .stream(chunks))
    }

    /// A record in one piece, compared with its digest; `nil` when it is too large for that.
    private func whole(
        _ request: PullRequest,
        from client: ReplicationClient
    ) async throws(ReplicationError) -> (put: PutRequest, payload: ByteBuffer)? {
        let known: HeadResult?
        let payload: ByteBuffer
        do throws(ReplicationError) {
            let maximum = limits.maximumWholePayloadByteCount
            (known, payload) = try await client.record(request.recordID, maximumByteCount: maximum, priority: .repair)
        } catch {
            guard error.code == .tooLarge else { throw error }
            return nil
        }
        var head = known
        if head == nil { head = try await self.head(request, from: client) }
        guard let head else { return nil }
        let put = Self.put(request, head)
        return (put, try Self.checked(payload, put))
    }

    private func head(
        _ request: PullRequest,
        from client: ReplicationClient
    ) async throws(ReplicationError) -> HeadResult {
        guard let head = try await client.head(request.recordID, priority: .repair) else {
            throw ReplicationError(.notFound, "the source does not have the record")
        }
        return head
    }

    private static func put(_ request: PullRequest, _ head: HeadResult) -> PutRequest {
        PutRequest(
            recordID: request.recordID,
            recordType: request.recordType,
            metadata: head.metadata,
            payloadByteCount: head.payloadByteCount,
            payloadDigest: head.payloadDigest,
            mapEpoch: request.stamp.mapEpoch,
            term: request.stamp.term
        )
    }

    /// docs/decisions/0006-who-computes-digests.md: whoever puts has compared them.
    private static func checked(_ payload: ByteBuffer, _ put: PutRequest) throws(ReplicationError) -> ByteBuffer {
        guard UInt64(payload.readableBytes) == put.payloadByteCount,
            SHA256Hasher.digest(of: payload) == put.payloadDigest
        else { throw ReplicationError(.corrupt, "the source's bytes do not match its digest") }
        return payload
    }

    /// Has `body` use a connection to a node, which counts as a pull meanwhile.
    public func use<Value: Sendable>(
        _ source: Source,
        _ body: (ReplicationClient) async throws(ReplicationError) -> Value
    ) async throws(ReplicationError) -> Value {
        let (client, evicted) = try takeConnection(to: source)
        defer { giveBack(source) }
        for client in evicted { await client.shutdown() }
        return try await body(client)
    }

    /// Ends the connections; pulls under way fail.
    public func shutdown() async {
        let clients = state.withLockedValue { state in
            state.isShutDown = true
            let clients = state.connections.values.map(\.client)
            state.connections = [:]
            return clients
        }
        for client in clients { await client.shutdown(gracePeriod: .zero) }
    }

    private func takeConnection(
        to source: Source
    ) throws(ReplicationError) -> (client: ReplicationClient, evicted: [ReplicationClient]) {
        try state.withLockedValue { state -> Result<(ReplicationClient, [ReplicationClient]), ReplicationError> in
            guard !state.isShutDown else { return .failure(ReplicationError(.shuttingDown, "the node is stopping")) }
            guard state.pullCount < limits.maximumPulls else {
                return .failure(ReplicationError(.overloaded, "\(state.pullCount) pulls are under way already"))
            }
            state.pullCount += 1
            state.useNumber += 1
            let evicted = makeRoom(for: source, in: &state)
            var connection = state.connections[source] ?? Connection(client: connect(to: source))
            connection.useCount += 1
            connection.lastUse = state.useNumber
            state.connections[source] = connection
            return .success((connection.client, evicted))
        }.get()
    }

    private func makeRoom(for source: Source, in state: inout State) -> [ReplicationClient] {
        guard state.connections[source] == nil, state.connections.count >= limits.maximumConnections else { return [] }
        let idle = state.connections.filter { $0.value.useCount == 0 }
        guard let oldest = idle.min(by: { $0.value.lastUse < $1.value.lastUse }) else { return [] }
        state.connections[oldest.key] = nil
        return [oldest.value.client]
    }

    private func giveBack(_ source: Source) {
        let lastUse = state.withLockedValue { state -> UInt64? in
            state.pullCount -= 1
            state.connections[source]?.useCount -= 1
            guard let connection = state.connections[source], connection.useCount == 0, !connection.isWatched else {
                return nil
            }
            state.connections[source]?.isWatched = true
            return connection.lastUse
        }
        if let lastUse { watch(source, since: lastUse) }
    }

    /// Looks after a while whether a connection has been used since; one look at a time, whatever the number of pulls.
    private func watch(_ source: Source, since lastUse: UInt64) {
        // Nothing waits for it: it finds nothing to do when the fetcher has been shut down.
        group.next().scheduleTask(in: limits.idleTime) { [weak self] in self?.endIdle(source, since: lastUse) }
    }

    private func endIdle(_ source: Source, since lastUse: UInt64) {
        let (client, again) = state.withLockedValue { state -> (ReplicationClient?, UInt64?) in
            guard let connection = state.connections[source] else { return (nil, nil) }
            // In use: whoever gives it back has it watched again.
            state.connections[source]?.isWatched = connection.useCount == 0
            guard connection.useCount == 0 else { return (nil, nil) }
            guard connection.lastUse == lastUse else { return (nil, connection.lastUse) }
            state.connections[source] = nil
            return (connection.client, nil)
        }
        if let again { watch(source, since: again) }
        // Nobody waits for its end; a client that is shut down ends by itself.
        if let client { Task { await client.shutdown() } }
    }

    /// To how many nodes there is a connection, or an attempt to have one.
    package var connectionCount: Int { state.withLockedValue { $0.connections.count } }

    private func connect(to source: Source) -> ReplicationClient {
        ReplicationClient(
            host: source.host,
            port: Int(source.port),
            localSocket: socketDirectory.flatMap { LocalSocket.path(of: source.node, in: $0) },
            identity: identity,
            expectedNodeID: source.node,
            group: group,
            logger: logger,
            configuration: configuration
        )
    }
}
