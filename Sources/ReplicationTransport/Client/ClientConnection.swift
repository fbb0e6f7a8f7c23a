// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import Placement
import ReplicationProtocol

/// One connection of a client: handshake, streams by id, credit for unsolicited bytes, signs of life.
final class ClientConnection: MessageConnection {
    private let configuration: ReplicationClientConfiguration
    private let expectedName: String?
    private var session: ClientSession
    private var streams: [UInt32: ClientStream] = [:]
    /// Puts that stopped for want of credit.
    private var creditless: [ClientStream] = []
    private var agreement: SessionAgreement?
    private var liveness: LivenessMonitor?
    private var ticks: RepeatedTask?
    private var handshakeAlarm: Scheduled<Void>?
    private var pings:
        [UInt64: (sentAt: NIODeadline, CheckedContinuation<Result<TimeAmount, ReplicationError>, Never>)] =
            [:]
    private var nextPingToken: UInt64 = 1 << 63
    /// Tells the client that the handshake is done, and that it is all over.
    private let ready: (ClientConnection, SessionAgreement) -> Void
    private let over: (ClientConnection, ReplicationError) -> Void
    /// What puts may still send unsolicited.
    var unsolicitedCredit = ConnectionCredit(limit: 0)

    init(
        hello: Hello,
        expectedName: String?,
        configuration: ReplicationClientConfiguration,
        eventLoop: any EventLoop,
        logger: Logger,
        ready: @escaping (ClientConnection, SessionAgreement) -> Void,
        over: @escaping (ClientConnection, ReplicationError) -> Void
    ) {
        self.configuration = configuration
        self.expectedName = expectedName
        self.session = ClientSession(hello: hello)
        self.ready = ready
        self.over = over
        super.init(
            side: .client,
            hasTLS: configuration.tls != nil,
            eventLoop: eventLoop,
            mapEpoch: UInt32(truncatingIfNeeded: hello.identity.mapEpoch.rawValue),
            logger: logger
        )
    }

    /// Bytes a put may send before it has credit of its own.
    var streamCredit: UInt32 { agreement?.limits.streamCredit ?? 0 }

    // MARK: - Requests

    /// Opens the stream and sends the request, or fails it.
    func submit(_ stream: ClientStream) {
        stream.prepare { [self] in
            guard !stream.isOver else { return }
            switch session.openStream() {
            case .open(let id):
                streams[id] = stream
                stream.opened(id: id, by: self)
            case .refuse(let error):
                stream.fail(error)
            case .refuseAndClose(let error):
                stream.fail(error)
                close(error, tellingPeer: false)
            }
            sendAndFlush()
        }
    }

    func ping(_ continuation: CheckedContinuation<Result<TimeAmount, ReplicationError>, Never>) {
        pings[nextPingToken] = (.now(), continuation)
        send(.ping(token: nextPingToken))
        nextPingToken += 1
        sendAndFlush()
    }

    /// No new requests; closes when the open ones have ended.
    func drain() {
        leave(session.drain())
    }

    // MARK: - For streams

    func awaitsCredit(_ stream: ClientStream) {
        guard !stream.isAwaitingCredit else { return }
        stream.isAwaitingCredit = true
        creditless.append(stream)
    }

    func streamEnded(_ stream: ClientStream) {
        guard streams.removeValue(forKey: stream.id) != nil else { return }
        leave(session.streamEnded())
    }

    // MARK: - Events

    override func connected() {
        send(.hello(session.connected()))
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        handshakeAlarm = eventLoop.scheduleTask(in: configuration.connectTimeout) {
            bound.value.close(ReplicationError(.notConnected, "the node did not answer HELLO in time"))
        }
    }

    override func heard() {
        liveness?.heard()
    }

    override func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        guard header.streamID == 0 else {
            guard let stream = streams[header.streamID] else { return try stray(header) }
            try stream.sequence.received(header)
            return try stream.received(header, message)
        }
        switch message {
        case .helloAck(let ack): try helloAckReceived(ack)
        case .ping(let token): send(.pong(token: token))
        case .pong(let token):
            guard let (sentAt, continuation) = pings.removeValue(forKey: token) else { return }
            continuation.resume(returning: .success(.now() - sentAt))
        case .goAway(let goAway):
            leave(session.goAwayReceived(goAway))
            let above = streams.keys.filter { $0 > goAway.lastStreamID }.sorted()
            for id in above { streams[id]?.fail(ReplicationError(goAway.code, goAway.message)) }
        case .credit(let byteCount):
            try unsolicitedCredit.received(byteCount: byteCount)
            let waiting = creditless
            creditless = []
            for stream in waiting where !stream.isOver {
                stream.isAwaitingCredit = false
                requestTurn(stream)
            }
        case .error(let error):
            close(error, tellingPeer: false)
        default:
            throw ReplicationError(.protocolViolation, "\(header.type.name) for the connection")
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

    override func disconnected(_ reason: ReplicationError) {
        ticks?.cancel()
        handshakeAlarm?.cancel()
        session.closed()
        creditless = []
        let open = streams.values.sorted { $0.id < $1.id }
        streams = [:]
        let error =
            reason.code == .connectionLost
            ? reason : ReplicationError(.connectionLost, "the connection ended: \(reason)")
        for stream in open { stream.connectionLost(error) }
        let pings = pings.sorted { $0.key < $1.key }
        self.pings = [:]
        for (_, (_, continuation)) in pings { continuation.resume(returning: .failure(error)) }
        over(self, reason)
    }

    // MARK: - Private

    private func helloAckReceived(_ ack: HelloAck) throws(ReplicationError) {
        if let error = try certifiedPeer(ack.identity)?.objection(toServingAs: expectedName) { throw error }
        switch session.helloAckReceived(ack) {
        case .begin(let agreement):
            self.agreement = agreement
            handshakeCompleted(version: agreement.version)
            handshakeAlarm?.cancel()
            unsolicitedCredit = ConnectionCredit(limit: agreement.limits.connectionCredit)
            startTicks(agreement)
            ready(self, agreement)
        case .close(let error):
            throw error
        }
    }

    private func startTicks(_ agreement: SessionAgreement) {
        // Often enough for the server's patience, too.
        let patience = Int64(agreement.limits.idleTimeoutMilliseconds) * 1_000_000
        let pingAfter = max(1_000_000, min(configuration.pingInterval.nanoseconds, patience / 3))
        liveness = LivenessMonitor(
            pingAfterNanoseconds: pingAfter,
            giveUpAfterNanoseconds: configuration.pingTimeout.nanoseconds,
            now: Int64(NIODeadline.now().uptimeNanoseconds)
        )
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        let interval = TimeAmount.nanoseconds(
            max(1_000_000, min(pingAfter, configuration.pingTimeout.nanoseconds / 4) / 2)
        )
        ticks = eventLoop.scheduleRepeatedTask(initialDelay: interval, delay: interval) { _ in bound.value.tick() }
    }

    private func tick() {
        switch liveness?.tick(now: Int64(NIODeadline.now().uptimeNanoseconds)) {
        case .giveUp:
            close(ReplicationError(.connectionLost, "the node gave no sign of life"), tellingPeer: false)
        case .ping(let token):
            send(.ping(token: token))
            sendAndFlush()
        case .wait, nil:
            break
        }
    }

    private func stray(_ header: MessageHeader) throws(ReplicationError) {
        switch session.strayMessage(header) {
        case .ignore: break
        case .close(let error): throw error
        }
    }

    private func leave(_ action: ClientSession.LeaveAction) {
        switch action {
        case .wait: break
        case .close:
            close(ReplicationError(.connectionLost, "the connection is no longer needed"), tellingPeer: false)
        }
    }
}
