// SPDX-License-Identifier: Apache-2.0

public import Logging
import NIOConcurrencyHelpers
public import NIOCore
import NIOPosix
import ReplicationProtocol

/// Listens for peers and lets a ``ReplicationService`` answer them.
///
/// Each connection lives on one event loop; each request is served by one task. Nothing a peer sends costs more than
/// its own connection.
public final class ReplicationServer: Sendable {
    private enum State {
        case idle
        case starting
        case listening([any Channel])
        case stopped
    }

    private let configuration: ReplicationServerConfiguration
    private let service: any ReplicationService
    private let group: any EventLoopGroup
    private let logger: Logger
    private let registry: ConnectionRegistry
    private let state = NIOLockedValueBox(State.idle)

    public init(
        configuration: ReplicationServerConfiguration,
        service: any ReplicationService,
        group: any EventLoopGroup,
        logger: Logger
    ) {
        self.configuration = configuration
        self.service = service
        self.group = group
        self.logger = logger
        self.registry = ConnectionRegistry(maximumConnections: configuration.limits.maximumConnections)
    }

    /// The connections there are.
    public var connectionCount: Int { registry.connectionCount }

    /// Begins to listen; returns the port.
    public func start() async throws -> Int {
        let isFirst = state.withLockedValue { state in
            guard case .idle = state else { return false }
            state = .starting
            return true
        }
        guard isFirst else { throw ReplicationError(.invalidRequest, "the server was started before") }
        let fence: ServerFence
        do throws(ReplicationError) {
            fence = ServerFence(try await service.fencePosition(), service: service)
        } catch {
            state.withLockedValue { $0 = .stopped }
            throw error
        }
        let setAside = configuration.setAsideByteCount
        guard configuration.memory.setAside(byteCount: setAside) else {
            throw ReplicationError(
                .tooLarge,
                "the memory budget has no room for \(setAside) bytes (maximumConnections * connectionCreditByteCount)"
            )
        }
        let listeners: [any Channel]
        do {
            listeners = try await listen(fence)
        } catch {
            configuration.memory.restore(byteCount: setAside)
            state.withLockedValue { $0 = .stopped }
            throw error
        }
        state.withLockedValue { $0 = .listening(listeners) }
        guard let port = listeners.first?.localAddress?.port else {
            throw ReplicationError(.internal, "the listening socket has no port")
        }
        logger.info("Replication server listens", metadata: ["host": "\(configuration.host)", "port": "\(port)"])
        return port
    }

    /// Stops: no new connections or streams at once; what is under way may finish within the grace period.
    ///
    /// Then connections are closed and tasks cancelled. Returns when the last task has: a service that ignores
    /// cancellation holds it up.
    public func shutdown(gracePeriod: TimeAmount = .seconds(5)) async {
        let listeners = state.withLockedValue { state -> [any Channel] in
            defer { state = .stopped }
            if case .listening(let channels) = state { return channels }
            return []
        }
        guard !listeners.isEmpty else { return }
        // Closing fails only when the channel is closed already, which is what we want.
        for listener in listeners { try? await listener.close() }
        registry.drain()
        let registry = registry
        let alarm = group.next().scheduleTask(in: gracePeriod) { registry.abort() }
        await registry.idle()
        alarm.cancel()
        configuration.memory.restore(byteCount: configuration.setAsideByteCount)
    }

    /// Listens at the port, and at the local socket when there is to be one.
    private func listen(_ fence: ServerFence) async throws -> [any Channel] {
        let port = try await bootstrap(fence).bind(host: configuration.host, port: configuration.port).get()
        guard let path = configuration.localSocket else { return [port] }
        do {
            // What is there is of a process that was killed: the node's lock on its data lets only one live.
            let local = try await bootstrap(fence)
                .childChannelOption(.socketOption(.so_sndbuf), value: LocalSocket.sendBufferByteCount)
                .bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
            return [port, local]
        } catch {
            try? await port.close()
            throw ReplicationError(
                .invalidRequest,
                "cannot listen at \(path): \(error); its directory must exist and be writable, and the path be short"
            )
        }
    }

    private func bootstrap(_ fence: ServerFence) -> ServerBootstrap {
        let (configuration, service, registry, logger) = (configuration, service, registry, logger)
        return ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 256)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.recvAllocator, value: ConnectionTuning.receiveAllocator)
            .childChannelOption(.writeBufferWaterMark, value: ConnectionTuning.writeWaterMark)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let refusal: ReplicationError?
                    switch registry.admit() {
                    case .admit: refusal = nil
                    case .refuse(let error): refusal = error
                    case .drop: throw ReplicationError(.overloaded, "too many connections")
                    }
                    let connection = ServerConnection(
                        service: service,
                        fence: fence,
                        configuration: configuration,
                        registry: registry,
                        refusal: refusal,
                        eventLoop: channel.eventLoop,
                        logger: logger
                    )
                    if let tls = configuration.tls {
                        try channel.pipeline.syncOperations.addHandler(tls.serverHandler())
                    }
                    try channel.pipeline.syncOperations.addHandler(connection)
                    registry.register(connection)
                }
            }
    }
}

/// How both ends set up their channels.
enum ConnectionTuning {
    /// Room for a whole DATA message a read.
    static let receiveAllocator = FixedSizeRecvByteBufferAllocator(capacity: 256 * 1024 + 4096)
    /// Above the upper mark streams stop writing; a put of up to 1 MiB goes out in one piece.
    static let writeWaterMark = ChannelOptions.Types.WriteBufferWaterMark(low: 512 * 1024, high: 1024 * 1024)
}

extension ReplicationServerConfiguration {
    /// The memory that unsolicited bytes may take, whoever connects.
    var setAsideByteCount: Int { limits.maximumConnections * limits.connectionCreditByteCount }
}
