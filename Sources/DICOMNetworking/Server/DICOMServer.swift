// SPDX-License-Identifier: Apache-2.0

public import Logging
import NIOConcurrencyHelpers
public import NIOCore
import NIOPosix

/// A DICOM application entity that accepts associations for Verification, Storage and Query/Retrieve.
///
/// Connections live on the event loops of `group`, which must outlive the server; requests run as tasks that
/// call the service. A hostile or dead peer costs its own connection and the memory that the configuration
/// grants one association.
public final class DICOMServer: Sendable {
    private let state: ServerState
    private let group: any EventLoopGroup
    private let listener = NIOLockedValueBox<(any Channel)?>(nil)

    /// How long a shutdown waits for cancelled requests after its grace period.
    private static let cancellationTimeout = TimeAmount.seconds(5)

    public init(
        configuration: DICOMServerConfiguration,
        service: any DIMSEService,
        group: any EventLoopGroup,
        logger: Logger
    ) {
        self.state = ServerState(configuration: configuration, service: service, logger: logger)
        self.group = group
    }

    /// Associations that are established now.
    public var associationCount: Int { self.state.associationCount }
    /// Open TCP connections, with or without an association.
    public var connectionCount: Int { self.state.connectionCount }
    /// Requests that the service is working on.
    public var runningRequestCount: Int { self.state.runningRequestCount }

    /// Opens the port.
    ///
    /// Returns its number.
    public func start() async throws(DICOMNetworkError) -> Int {
        let state = self.state
        let configuration = state.configuration
        let bootstrap = ServerBootstrap(group: self.group)
            .serverChannelOption(.backlog, value: configuration.acceptBacklog)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.recvAllocator, value: Self.receiveAllocator)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard state.connectionOpened(channel) else {
                        throw DICOMNetworkError(.closed, "too many connections")
                    }
                    try channel.pipeline.syncOperations.addHandlers(
                        QuickAcknowledgementHandler(),
                        AssociationServerHandler(server: state)
                    )
                }
            }
        state.spoolPool.start()
        do {
            let channel = try await bootstrap.bind(host: configuration.host, port: configuration.port).get()
            self.listener.withLockedValue { $0 = channel }
            guard let port = channel.localAddress?.port else {
                throw DICOMNetworkError(.bindFailed, "the listening socket has no port")
            }
            return port
        } catch {
            // Losing the error is right: it says that the threads are gone already.
            try? await state.spoolPool.shutdownGracefully()
            throw DICOMNetworkError(
                .bindFailed,
                "cannot listen on \(configuration.host) port \(configuration.port)",
                cause: error
            )
        }
    }

    /// Bulk comes in reads of up to 256 KiB; a quiet association holds 64 KiB.
    static var receiveAllocator: AdaptiveRecvByteBufferAllocator {
        AdaptiveRecvByteBufferAllocator(minimum: 64 << 10, initial: 64 << 10, maximum: 256 << 10)
    }

    /// Stops accepting, lets messages in progress be received, worked on and answered, and aborts each
    /// association when it has none.
    ///
    /// After the grace period everything left is aborted and its tasks are cancelled.
    public func shutdown(gracePeriod: Duration) async {
        // Losing the error is right: the listener may be closed already.
        try? await self.listener.withLockedValue { listener in
            defer { listener = nil }
            return listener
        }?.close().get()
        let eventLoop = self.group.next()
        let idle = eventLoop.makePromise(of: Void.self)
        for channel in self.state.startDraining(idle) {
            channel.pipeline.fireUserInboundEventTriggered(ServerEvent.drain)
        }
        let state = self.state
        let graceTimer = eventLoop.scheduleTask(in: TimeAmount(gracePeriod)) {
            for channel in state.openChannels {
                channel.pipeline.fireUserInboundEventTriggered(ServerEvent.abort)
            }
            eventLoop.scheduleTask(in: Self.cancellationTimeout) {
                let count = state.abandon()
                state.logger.warning(
                    "requests still run after the shutdown of the DICOM server",
                    metadata: ["count": "\(count)"]
                )
            }
        }
        // The promise is never failed.
        try? await idle.futureResult.get()
        graceTimer.cancel()
        // Losing the error is right: it says that the threads are gone already.
        try? await state.spoolPool.shutdownGracefully()
    }
}
