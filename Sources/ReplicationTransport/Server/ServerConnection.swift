// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import Placement
import ReplicationProtocol

/// One connection of a server: handshake, streams by id, credit for unsolicited bytes, signs of life.
final class ServerConnection: MessageConnection {
    /// Bytes of answers that may wait for a client that does not read.
    private static let maximumWaitingAnswerByteCount = 16 << 20

    let service: any ReplicationService
    let fence: ServerFence
    let limits: ReplicationServerConfiguration.Limits
    let putLimits: PutReceiver.Limits
    let memory: ReplicationMemoryBudget
    let allocator = ByteBufferAllocator()
    let executor: EventLoopExecutor
    private let registry: ConnectionRegistry
    private let foreground: ForegroundMeter
    private let tickInterval: TimeAmount
    private var session: ServerSession
    private var unsolicited: UnsolicitedCredit
    private var liveness: LivenessMonitor?
    private var streams: [UInt32: ServerStream] = [:]
    private var waitingAnswerByteCount = 0
    private var ticks: RepeatedTask?
    private var connectedAt = NIODeadline.now()
    /// Set when the server has too many connections: HELLO is answered with it.
    private let refusal: ReplicationError?
    /// Whose certificate the client has shown; `nil` without TLS.
    private var holder: CertificateIdentity?
    private var peerDescription: Logger.MetadataValue = "unknown"

    init(
        service: any ReplicationService,
        fence: ServerFence,
        configuration: ReplicationServerConfiguration,
        registry: ConnectionRegistry,
        refusal: ReplicationError?,
        eventLoop: any EventLoop,
        logger: Logger
    ) {
        self.service = service
        self.fence = fence
        self.limits = configuration.limits
        self.putLimits = configuration.limits.put
        self.memory = configuration.memory
        self.foreground = configuration.foreground
        self.executor = EventLoopExecutor(eventLoop)
        self.registry = registry
        self.refusal = refusal
        var identity = configuration.identity
        let position = fence.position
        identity.term = max(identity.term, position.term)
        identity.mapEpoch = max(identity.mapEpoch, position.mapEpoch)
        self.session = ServerSession(identity: identity, limits: configuration.limits.session)
        self.unsolicited = UnsolicitedCredit(limit: configuration.limits.connectionCreditByteCount)
        let shortest = min(configuration.limits.handshakeTimeout, configuration.limits.idleTimeout)
        self.tickInterval = min(.seconds(1), .nanoseconds(max(1_000_000, shortest.nanoseconds / 4)))
        super.init(
            side: .server,
            hasTLS: configuration.tls != nil,
            eventLoop: eventLoop,
            mapEpoch: UInt32(truncatingIfNeeded: identity.mapEpoch.rawValue),
            logger: logger
        )
    }

    // MARK: - Events

    override func connected() {
        connectedAt = .now()
        let now = Int64(connectedAt.uptimeNanoseconds)
        liveness = LivenessMonitor(
            pingAfterNanoseconds: .max,
            giveUpAfterNanoseconds: limits.idleTimeout.nanoseconds,
            now: now
        )
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        ticks = eventLoop.scheduleRepeatedTask(initialDelay: tickInterval, delay: tickInterval) { _ in
            bound.value.tick()
        }
    }

    override func heard() {
        liveness?.heard()
    }

    override func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        if header.type.opensStream, let error = holder?.objection(toAsking: message) {
            return try refuse(header, error)
        }
        switch message {
        case .hello(let hello): helloReceived(hello)
        case .ping(let token): send(.pong(token: token))
        case .pong: break
        case .goAway: leave(session.drain(code: .shuttingDown, "the client is leaving"))
        case .error(let error):
            close(ReplicationError(.connectionLost, "the client gave up: \(error)"), tellingPeer: false)
        case .putBegin(let begin):
            if header.flags.priority == .foreground { foreground.note() }
            try open(header, ServerPut(header, begin, connection: self))
        case .get(let request):
            if header.flags.priority == .foreground { foreground.note() }
            try open(header, ServerGet(header, request, connection: self))
        case .pull(let request): try open(header, ServerPull(header, request, connection: self))
        case .buildPack, .verifyPack, .recall, .removePack:
            try open(header, ServerPackOrder(header, message, connection: self))
        case .head, .verify, .list, .status, .places, .amend, .amendments, .digest, .purgePermit,
            .map, .damage, .healed, .drop:
            try open(header, ServerQuery(header, message, connection: self))
        case .credit, .cancel, .metadata, .putCommit:
            guard let stream = streams[header.streamID] else { return try stray(header) }
            try stream.sequence.received(header)
            try stream.received(header, message)
        default:
            throw ReplicationError(.protocolViolation, "\(header.type.name) from a client")
        }
    }

    override func dataBegan(_ header: MessageHeader) throws(ReplicationError) -> (any InboundStream)? {
        guard let stream = streams[header.streamID] else {
            try stray(header)
            return nil
        }
        try stream.sequence.received(header)
        return try stream.dataBegan(header)
    }

    override func eventCompleted() {
        // Not only bytes that arrive free credit: so does memory that a put has waited for, and the end of a stream.
        returnCredit(alongOthers: writer?.needsFlush == true)
    }

    override func disconnected(_ reason: ReplicationError) {
        ticks?.cancel()
        session.closed()
        let open = streams.values.sorted { $0.id < $1.id }
        for stream in open { stream.cancelled() }
        if !open.isEmpty {
            logger.debug(
                "Replication connection ended with open streams",
                metadata: ["peer": peerDescription, "streams": "\(open.count)", "reason": "\(reason)"]
            )
        }
        registry.connectionEnded(self)
    }

    /// The server is shutting down: no new streams, and close when the open ones have ended.
    func drain() {
        leave(session.drain(code: .shuttingDown, "the node is shutting down"))
        sendAndFlush()
    }

    /// The server is out of patience.
    func abort() {
        close(ReplicationError(.shuttingDown, "the node is shutting down"))
    }

    // MARK: - For streams

    /// Unsolicited bytes have arrived.
    func receivedUnsolicited(byteCount: Int) throws(ReplicationError) {
        try unsolicited.received(byteCount: byteCount)
    }

    /// Unsolicited bytes burden the connection no longer.
    func freeUnsolicited(byteCount: Int) {
        unsolicited.free(byteCount: byteCount)
    }

    /// A stream has to wait for memory while it holds unsolicited bytes: the others must not depend on them.
    func streamWaitsForMemory() {
        for stream in streams.values.sorted(by: { $0.id < $1.id }) { stream.othersWait() }
    }

    var hasStreamWaitingForMemory: Bool { streams.values.contains { $0.isWaitingForMemory } }

    /// An answer is about to wait for its turn; the claim is whether it may.
    func answerWaits(byteCount: Int) -> Bool {
        guard waitingAnswerByteCount + byteCount <= Self.maximumWaitingAnswerByteCount else { return false }
        waitingAnswerByteCount += byteCount
        return true
    }

    func answerSent(byteCount: Int) {
        waitingAnswerByteCount -= byteCount
    }

    func taskStarted() {
        registry.taskStarted()
    }

    func taskEnded() {
        registry.taskEnded()
    }

    func streamEnded(_ stream: ServerStream) {
        streams[stream.id] = nil
        leave(session.streamEnded())
    }

    // MARK: - Private

    private func helloReceived(_ hello: Hello) {
        if let refusal { return close(refusal) }
        do throws(ReplicationError) {
            holder = try certifiedPeer(hello.identity)
        } catch {
            logger.warning("Replication peer is not who it says", metadata: ["reason": "\(error)"])
            return close(error)
        }
        switch session.helloReceived(hello) {
        case .accept(let ack, let agreement):
            send(.helloAck(ack))
            handshakeCompleted(version: agreement.version)
            peerDescription = "\(agreement.peer.nodeID)"
            logger.debug(
                "Replication peer connected",
                metadata: ["peer": peerDescription, "role": "\(agreement.peer.role)"]
            )
        case .refuse(let error):
            logger.info(
                "Replication peer refused",
                metadata: ["peer": "\(hello.identity.nodeID)", "reason": "\(error)"]
            )
            close(error)
        }
    }

    private func open(_ header: MessageHeader, _ stream: ServerStream) throws(ReplicationError) {
        switch session.streamOpened(header.streamID) {
        case .accept:
            try stream.sequence.received(header)
            streams[stream.id] = stream
            stream.begin()
        case .refuse(let error):
            send(.error(error), on: stream)
        case .close(let error):
            throw error
        }
    }

    /// Refuses a stream that `header` opens; it counts as opened and ended.
    private func refuse(_ header: MessageHeader, _ error: ReplicationError) throws(ReplicationError) {
        let stream = OutboundStream(id: header.streamID, priority: header.flags.priority)
        switch session.streamOpened(header.streamID) {
        case .accept:
            try stream.sequence.received(header)
            logger.warning("Replication peer has no right to that", metadata: ["reason": "\(error)"])
            send(.error(error), on: stream)
            leave(session.streamEnded())
        case .refuse(let error):
            send(.error(error), on: stream)
        case .close(let error):
            throw error
        }
    }

    /// A message for a stream that has ended: its unsolicited bytes are given back all the same.
    private func stray(_ header: MessageHeader) throws(ReplicationError) {
        switch session.strayMessage(header) {
        case .ignore:
            guard header.flags.contains(.unsolicited) else { return }
            try unsolicited.received(byteCount: header.payloadByteCount)
            unsolicited.free(byteCount: header.payloadByteCount)
        case .close(let error):
            throw error
        }
    }

    private func leave(_ action: ServerSession.LeaveAction) {
        switch action {
        case .wait: break
        case .sayGoAway(let goAway): send(.goAway(goAway))
        case .sayGoAwayAndClose(let goAway):
            send(.goAway(goAway))
            close(ReplicationError(goAway.code, goAway.message), tellingPeer: false)
        case .close:
            close(ReplicationError(.shuttingDown, "the connection is no longer needed"), tellingPeer: false)
        }
    }

    private func returnCredit(alongOthers: Bool) {
        if let byteCount = unsolicited.takeReturn(alongOthers: alongOthers) {
            send(.credit(byteCount: UInt64(byteCount)))
        }
    }

    private func tick() {
        let now = NIODeadline.now()
        if session.isAwaitingHello, now - connectedAt >= limits.handshakeTimeout {
            return close(ReplicationError(.deadlineExceeded, "no HELLO in time"))
        }
        switch liveness?.tick(now: Int64(now.uptimeNanoseconds)) {
        case .giveUp: return close(ReplicationError(.connectionLost, "nothing was heard from the peer for too long"))
        case .ping(let token): send(.ping(token: token))
        case .wait, nil: break
        }
        let late = streams.values.filter { $0.deadline.map { $0 <= now } ?? false }.sorted { $0.id < $1.id }
        for stream in late { stream.fail(ReplicationError(.deadlineExceeded, "the client's deadline has passed")) }
        returnCredit(alongOthers: true)
        sendAndFlush()
    }
}
