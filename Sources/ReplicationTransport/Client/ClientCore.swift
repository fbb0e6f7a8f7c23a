// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOConcurrencyHelpers
import NIOCore
import NIOPosix
import ReplicationProtocol

/// A client's part on its event loop: keeps one connection, makes it anew when it ends, hands requests to it.
final class ClientCore {
    private enum State {
        /// An attempt is under way. Requests wait only for the very first one.
        case connecting(isFirst: Bool)
        case connected(ClientConnection)
        /// A pause before the next attempt.
        case pausing(Scheduled<Void>)
        case stopped
    }

    private let host: String
    private let port: Int
    private let localSocket: String?
    private let hello: Hello
    private let expectedName: String?
    private let configuration: ReplicationClientConfiguration
    private let eventLoop: any EventLoop
    private let logger: Logger
    /// For all that requests wait for.
    let clock: AlarmClock
    private let peer: NIOLockedValueBox<HelloIdentity?>
    private var state = State.stopped
    /// The connection of the attempt under way.
    private var attempt: ClientConnection?
    /// Whether the attempt is for the local socket and not connected: its failure is no failure of the peer.
    private var isReachingForLocalSocket = false
    /// Whether whoever listened at the local socket last was no peer of ours.
    private var distrustsLocalSocket = false
    private var backoff: ReconnectBackoff
    private var lastError = ReplicationError(.notConnected, "no connection to the node yet")
    private var early: [ClientStream] = []
    /// Tasks that wait for a connection, by a number that tells them apart.
    private var connectionWaiters: [UInt64: CheckedContinuation<Result<Void, ReplicationError>, Never>] = [:]
    private var stopWaiters: [CheckedContinuation<Void, Never>] = []
    /// The connection, from its making to its end; there may be one that drains while the next is made.
    private var channels: [ObjectIdentifier: any Channel] = [:]

    init(
        host: String,
        port: Int,
        localSocket: String?,
        hello: Hello,
        expectedName: String?,
        configuration: ReplicationClientConfiguration,
        eventLoop: any EventLoop,
        logger: Logger,
        peer: NIOLockedValueBox<HelloIdentity?>
    ) {
        self.host = host
        self.port = port
        self.localSocket = localSocket
        self.hello = hello
        self.expectedName = expectedName
        self.configuration = configuration
        self.eventLoop = eventLoop
        self.logger = logger
        self.clock = AlarmClock(eventLoop: eventLoop)
        self.peer = peer
        self.backoff = ReconnectBackoff(
            initialMilliseconds: max(1, configuration.initialReconnectPause.nanoseconds / 1_000_000),
            maximumMilliseconds: max(
                1,
                configuration.initialReconnectPause.nanoseconds / 1_000_000,
                configuration.maximumReconnectPause.nanoseconds / 1_000_000
            )
        )
    }

    func start() {
        connect(isFirst: true)
    }

    // MARK: - Requests

    /// Sends the request, keeps it for the first connection, or fails it at once.
    func submit(_ stream: ClientStream) {
        stream.startDeadline(on: clock) {
            let error = ReplicationError(.deadlineExceeded, "no answer within the request's timeout")
            stream.abandon(error)
        }
        switch state {
        case .connected(let connection):
            connection.submit(stream)
        case .connecting(let isFirst):
            guard isFirst, early.count < configuration.maximumEarlyRequests else { return stream.fail(down) }
            early.append(stream)
        case .pausing:
            stream.fail(down)
        case .stopped:
            stream.fail(Self.stopped)
        }
    }

    func ping(_ continuation: CheckedContinuation<Result<TimeAmount, ReplicationError>, Never>) {
        switch state {
        case .connected(let connection): connection.ping(continuation)
        case .connecting, .pausing, .stopped: continuation.resume(returning: .failure(down))
        }
    }

    /// Resumes when there is a connection, or never will be.
    func awaitConnection(
        _ number: UInt64,
        _ continuation: CheckedContinuation<Result<Void, ReplicationError>, Never>
    ) {
        switch state {
        case .connected: continuation.resume(returning: .success(()))
        case .connecting, .pausing: connectionWaiters[number] = continuation
        case .stopped: continuation.resume(returning: .failure(Self.stopped))
        }
    }

    /// The waiting task was cancelled.
    func stopAwaitingConnection(_ number: UInt64) {
        let error = ReplicationError(.cancelled, "the calling task was cancelled")
        connectionWaiters.removeValue(forKey: number)?.resume(returning: .failure(error))
    }

    private func resumeConnectionWaiters(_ result: Result<Void, ReplicationError>) {
        let waiters = connectionWaiters.sorted { $0.key < $1.key }
        connectionWaiters = [:]
        for (_, waiter) in waiters { waiter.resume(returning: result) }
    }

    private static var stopped: ReplicationError {
        ReplicationError(.shuttingDown, "the client was shut down", retry: .never)
    }

    /// Stops for good; `stopped` is resumed when no connection is left.
    func stop(_ stopped: CheckedContinuation<Void, Never>) {
        switch state {
        case .connected(let connection): connection.drain()
        case .pausing(let attempt): attempt.cancel()
        case .connecting: abort()
        case .stopped: break
        }
        state = .stopped
        peer.withLockedValue { $0 = nil }
        failEarly(Self.stopped)
        resumeConnectionWaiters(.failure(Self.stopped))
        stopWaiters.append(stopped)
        resumeStopWaiters()
    }

    /// Ends what has not ended by itself after ``stop(_:)``.
    func abort() {
        for channel in channels.values { channel.close(promise: nil) }
    }

    private var down: ReplicationError {
        ReplicationError(.notConnected, "no connection to the node at the moment: \(lastError)")
    }

    // MARK: - Connection

    private func connect(isFirst: Bool) {
        state = .connecting(isFirst: isFirst)
        if let localSocket, !distrustsLocalSocket { connect(localSocket: localSocket) } else { connectByPort() }
    }

    private func connect(localSocket path: String) {
        isReachingForLocalSocket = true
        bootstrap()
            .channelOption(.socketOption(.so_sndbuf), value: LocalSocket.sendBufferByteCount)
            .connect(unixDomainSocketPath: path)
            .assumeIsolated()
            .whenComplete { [self] result in
                isReachingForLocalSocket = false
                switch result {
                case .success:
                    // Until it has proved to be the peer.
                    distrustsLocalSocket = true
                case .failure:
                    attempt = nil
                    if case .connecting = state { connectByPort() }
                }
            }
    }

    private func connectByPort() {
        bootstrap()
            .connect(host: host, port: port)
            .assumeIsolated()
            .whenComplete { [self] result in
                if case .failure(let error) = result {
                    lost(ReplicationError(.notConnected, "\(host):\(port) cannot be reached: \(error)"))
                }
            }
    }

    private func bootstrap() -> ClientBootstrap {
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        return ClientBootstrap(group: eventLoop)
            .connectTimeout(configuration.connectTimeout)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.recvAllocator, value: ConnectionTuning.receiveAllocator)
            .channelOption(.writeBufferWaterMark, value: ConnectionTuning.writeWaterMark)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    bound.value.made(channel)
                    if let tls = bound.value.configuration.tls {
                        try channel.pipeline.syncOperations.addHandler(try tls.clientHandler())
                    }
                    try channel.pipeline.syncOperations.addHandler(bound.value.makeConnection())
                }
            }
    }

    private func makeConnection() -> ClientConnection {
        let connection = ClientConnection(
            hello: hello,
            expectedName: expectedName,
            configuration: configuration,
            eventLoop: eventLoop,
            logger: logger,
            ready: { [weak self] connection, agreement in self?.ready(connection, agreement) },
            over: { [weak self] connection, reason in self?.over(connection, reason) }
        )
        attempt = connection
        return connection
    }

    /// A channel is about to connect.
    private func made(_ channel: any Channel) {
        channels[ObjectIdentifier(channel)] = channel
        channel.closeFuture.assumeIsolated().whenComplete { [self] _ in
            channels[ObjectIdentifier(channel)] = nil
            resumeStopWaiters()
        }
    }

    private func ready(_ connection: ClientConnection, _ agreement: SessionAgreement) {
        guard case .connecting = state else {
            connection.drain()
            return
        }
        state = .connected(connection)
        backoff.reset()
        distrustsLocalSocket = false
        peer.withLockedValue { $0 = agreement.peer }
        logger.info("Connected to replication peer", metadata: ["peer": "\(agreement.peer.nodeID)"])
        let waiting = early
        early = []
        for stream in waiting where !stream.isOver { connection.submit(stream) }
        resumeConnectionWaiters(.success(()))
    }

    /// A connection has ended: the current one, the one being made, or one that was draining.
    private func over(_ connection: ClientConnection, _ reason: ReplicationError) {
        switch state {
        case .connected(let current):
            guard current === connection else { return }
            lost(reason)
        case .connecting:
            guard attempt === connection, !isReachingForLocalSocket else { return }
            lost(reason)
        case .pausing, .stopped:
            break
        }
    }

    private func lost(_ reason: ReplicationError) {
        if case .stopped = state { return resumeStopWaiters() }
        lastError = reason
        peer.withLockedValue { $0 = nil }
        failEarly(down)
        let pause = backoff.nextPause(random: .random(in: 0 ... .max))
        logger.info("Replication peer is not connected", metadata: ["reason": "\(reason)", "retryInMs": "\(pause)"])
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        state = .pausing(
            eventLoop.scheduleTask(in: .milliseconds(pause)) {
                if case .pausing = bound.value.state { bound.value.connect(isFirst: false) }
            }
        )
    }

    private func failEarly(_ error: ReplicationError) {
        let waiting = early
        early = []
        for stream in waiting { stream.fail(error) }
    }

    private func resumeStopWaiters() {
        guard case .stopped = state, channels.isEmpty else { return }
        let waiters = stopWaiters
        stopWaiters = []
        for waiter in waiters { waiter.resume() }
    }
}
