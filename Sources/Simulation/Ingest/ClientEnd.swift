// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import ReplicationProtocol

/// An ingest node's end of a connection: the real `ClientSession`, `ConnectionCredit` and `LivenessMonitor`.
///
/// Stands for `ClientConnection` of ReplicationTransport and follows its rules.
final class ClientEnd: MessageEnd {
    private var session: ClientSession
    private var streams: [UInt32: ClientStream] = [:]
    private var creditless: [ClientStream] = []
    private(set) var agreement: SessionAgreement?
    private var liveness: LivenessMonitor?
    private let ready: (ClientEnd) -> Void
    private let over: (ClientEnd, ReplicationError) -> Void
    var unsolicitedCredit = ConnectionCredit(limit: 0)

    init(
        _ process: Process,
        _ hello: Hello,
        _ wire: Wire,
        ready: @escaping (ClientEnd) -> Void,
        over: @escaping (ClientEnd, ReplicationError) -> Void
    ) {
        self.session = ClientSession(hello: hello)
        self.ready = ready
        self.over = over
        super.init(process, .client, wire)
    }

    func connected() {
        send(.hello(session.connected()))
        process.after(Limits.connectTimeout) { [self] in
            if agreement == nil { close(ReplicationError(.notConnected, "the node did not answer HELLO in time")) }
        }
    }

    func submit(_ stream: ClientStream) {
        switch session.openStream() {
        case .open(let id):
            streams[id] = stream
            stream.opened(id, self)
        case .refuse(let error): stream.fail(error)
        case .refuseAndClose(let error):
            stream.fail(error)
            close(error, tellingPeer: false)
        }
        flush()
    }

    func awaitsCredit(_ stream: ClientStream) {
        if !creditless.contains(where: { $0 === stream }) { creditless.append(stream) }
    }

    func streamEnded(_ stream: ClientStream) {
        guard streams.removeValue(forKey: stream.id) != nil else { return }
        _ = session.streamEnded()
    }

    override func heard() { liveness?.heard() }

    override func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        guard header.streamID == 0 else {
            guard let stream = streams[header.streamID] else { return try stray(header) }
            try stream.sequence.received(header)
            return try stream.received(message)
        }
        switch message {
        case .helloAck(let ack):
            switch session.helloAckReceived(ack) {
            case .begin(let agreement):
                self.agreement = agreement
                handshakeCompleted(version: agreement.version)
                unsolicitedCredit = ConnectionCredit(limit: agreement.limits.connectionCredit)
                startTicks()
                ready(self)
            case .close(let error): throw error
            }
        case .ping(let token): send(.pong(token: token))
        case .pong: break
        case .credit(let byteCount):
            try unsolicitedCredit.received(byteCount: byteCount)
            let waiting = creditless
            creditless = []
            for stream in waiting where !stream.isOver { requestTurn(stream) }
        case .error(let error): close(error, tellingPeer: false)
        default: throw ReplicationError(.protocolViolation, "\(header.type.name) for the connection")
        }
    }

    override func dataBegan(_ header: MessageHeader) throws(ReplicationError) -> (any DataTaking)? {
        guard let stream = streams[header.streamID] else {
            try stray(header)
            return nil
        }
        try stream.sequence.received(header)
        return try stream.dataBegan(header)
    }

    override func disconnected(_ reason: ReplicationError) {
        session.closed()
        creditless = []
        let open = streams.values.sorted { $0.id < $1.id }
        streams = [:]
        let error = ReplicationError(.connectionLost, "the connection ended: \(reason.code)")
        for stream in open { stream.connectionLost(error) }
        over(self, reason)
    }

    override func forget() {
        super.forget()
        streams = [:]
        creditless = []
    }

    private func startTicks() {
        liveness = LivenessMonitor(
            pingAfterNanoseconds: Limits.pingInterval * 1000,
            giveUpAfterNanoseconds: Limits.pingTimeout * 1000,
            now: world.now * 1000
        )
        scheduleTick()
    }

    private func scheduleTick() {
        process.after(Limits.pingInterval / 2) { [self] in
            guard !isClosed else { return }
            switch liveness?.tick(now: world.now * 1000) {
            case .giveUp:
                close(ReplicationError(.connectionLost, "the node gave no sign of life"), tellingPeer: false)
            case .ping(let token): send(.ping(token: token))
            case .wait, nil: break
            }
            scheduleTick()
        }
    }

    private func stray(_ header: MessageHeader) throws(ReplicationError) {
        if case .close(let error) = session.strayMessage(header) { throw error }
    }
}

/// A request on the ingest node's side; follows `ClientStream` of ReplicationTransport.
class ClientStream: MessageStream {
    let process: Process
    private(set) var connection: ClientEnd?
    private(set) var isOver = false
    private var lastProgress: Int64

    init(_ process: Process) {
        self.process = process
        self.lastProgress = process.world.now
        super.init()
        scheduleDeadline()
    }

    func begin() {}
    func received(_ message: Message) throws(ReplicationError) {
        throw ReplicationError(.protocolViolation, "\(message.type.name) in a stream that is no place for it")
    }
    func dataBegan(_ header: MessageHeader) throws(ReplicationError) -> (any DataTaking)? {
        throw ReplicationError(.protocolViolation, "DATA in a stream that is no place for it")
    }
    func failed(_ error: ReplicationError) {}
    var isWaitingForPeer: Bool { true }
    func interruption(_ error: ReplicationError) -> ReplicationError { error }

    private func scheduleDeadline() {
        process.after(max(1, lastProgress + Limits.requestTimeout - process.world.now)) { [self] in
            guard !isOver else { return }
            if !isWaitingForPeer { lastProgress = process.world.now }
            if lastProgress + Limits.requestTimeout > process.world.now {
                scheduleDeadline()
            } else {
                abandon(ReplicationError(.deadlineExceeded, "no answer within the request's timeout"))
            }
        }
    }

    final func opened(_ id: UInt32, _ connection: ClientEnd) {
        self.id = id
        self.connection = connection
        sequence = MessageSequence()
        begin()
    }

    final func end() {
        guard !isOver else { return }
        isOver = true
        connection?.streamEnded(self)
        connection = nil
    }

    final func fail(_ error: ReplicationError) {
        guard !isOver else { return }
        isOver = true
        connection?.streamEnded(self)
        connection = nil
        failed(error)
    }

    /// Given up by this side: the peer is told.
    final func abandon(_ error: ReplicationError) {
        guard !isOver else { return }
        let connection = connection
        connection?.send(.cancel, on: self)
        fail(interruption(error))
        connection?.flush()
    }

    final func connectionLost(_ error: ReplicationError) {
        connection = nil
        fail(interruption(error))
    }
}
