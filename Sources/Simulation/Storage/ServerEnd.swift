// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol

/// The bytes that a storage node lends to its connections: the real `MemoryBudget`, and who waits for it.
struct ServerMemory {
    var budget = MemoryBudget(capacity: Limits.memoryByteCount)
    private var waiting: [MemoryBudget.Ticket: () -> Void] = [:]

    mutating func wait(_ ticket: MemoryBudget.Ticket, _ granted: @escaping () -> Void) { waiting[ticket] = granted }

    /// Those whose turn has come.
    mutating func take(_ tickets: [MemoryBudget.Ticket]) -> [() -> Void] {
        tickets.compactMap { waiting.removeValue(forKey: $0) }
    }

    mutating func forget(_ ticket: MemoryBudget.Ticket) { waiting[ticket] = nil }
}

/// The storage node's end of a connection: the real `ServerSession`, `UnsolicitedCredit` and `LivenessMonitor`.
final class ServerEnd: MessageEnd {
    let node: StorageProcess
    private var session: ServerSession
    private var unsolicited = UnsolicitedCredit(limit: Limits.connectionCredit)
    private var liveness: LivenessMonitor
    private var streams: [UInt32: ServerStream] = [:]
    private let connectedAt: Int64

    init(_ node: StorageProcess, _ wire: Wire) {
        self.node = node
        self.connectedAt = node.world.now
        session = ServerSession(
            identity: node.identity,
            limits: SessionLimits(
                streamCredit: UInt32(Limits.streamCredit),
                connectionCredit: UInt32(Limits.connectionCredit),
                maximumStreams: Limits.maximumStreams,
                idleTimeoutMilliseconds: UInt32(Limits.idleTimeout / 1000)
            )
        )
        liveness = LivenessMonitor(
            pingAfterNanoseconds: .max,
            giveUpAfterNanoseconds: Limits.idleTimeout * 1000,
            now: node.world.now * 1000
        )
        super.init(node, .server, wire)
        node.connections.append(self)
        scheduleTick()
    }

    private func scheduleTick() {
        process.after(Limits.idleTimeout / 4) { [self] in
            guard !isClosed else { return }
            tick()
            scheduleTick()
        }
    }

    private func tick() {
        if session.isAwaitingHello, world.now - connectedAt >= 1_000_000 {
            return close(ReplicationError(.deadlineExceeded, "no HELLO in time"))
        }
        if case .giveUp = liveness.tick(now: world.now * 1000) {
            return close(ReplicationError(.connectionLost, "nothing was heard for too long"))
        }
        let late = streams.values.filter { $0.deadline.map { $0 <= world.now } ?? false }.sorted { $0.id < $1.id }
        for stream in late { stream.fail(ReplicationError(.deadlineExceeded, "the client's deadline has passed")) }
        returnCredit(alongOthers: true)
        flush()
    }

    override func heard() { liveness.heard() }

    override func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        switch message {
        case .hello(let hello):
            switch session.helloReceived(hello) {
            case .accept(let ack, let agreement):
                send(.helloAck(ack))
                handshakeCompleted(version: agreement.version)
            case .refuse(let error): close(error)
            }
        case .ping(let token): send(.pong(token: token))
        case .error(let error):
            close(ReplicationError(.connectionLost, "the client gave up: \(error)"), tellingPeer: false)
        case .putBegin(let begin): try open(header, ServerPut(header.streamID, begin, self))
        case .get(let request): try open(header, ServerGet(header.streamID, request, self))
        case .head(let query): try open(header, ServerQuery(header.streamID, .head(query), self))
        case .list(let request): try open(header, ServerQuery(header.streamID, .list(request), self))
        case .credit, .cancel, .metadata, .putCommit:
            guard let stream = streams[header.streamID] else { return try stray(header) }
            try stream.sequence.received(header)
            try stream.received(header, message)
        default:
            throw ReplicationError(.protocolViolation, "\(header.type.name) is not simulated")
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

    override func eventCompleted() { returnCredit(alongOthers: world.chance(50)) }

    override func disconnected(_ reason: ReplicationError) {
        session.closed()
        for stream in streams.values.sorted(by: { $0.id < $1.id }) { stream.cancelled() }
        node.connections.removeAll { $0 === self }
    }

    override func forget() {
        super.forget()
        streams = [:]
    }

    // MARK: For streams

    func receivedUnsolicited(byteCount: Int) throws(ReplicationError) { try unsolicited.received(byteCount: byteCount) }

    func freeUnsolicited(byteCount: Int) { unsolicited.free(byteCount: byteCount) }

    func streamWaitsForMemory() {
        for stream in streams.values.sorted(by: { $0.id < $1.id }) { stream.othersWait() }
    }

    func streamEnded(_ stream: ServerStream) {
        streams[stream.id] = nil
        _ = session.streamEnded()
    }

    private func open(_ header: MessageHeader, _ stream: ServerStream) throws(ReplicationError) {
        switch session.streamOpened(header.streamID) {
        case .accept:
            try stream.sequence.received(header)
            streams[stream.id] = stream
            stream.begin()
        case .refuse(let error): send(.error(error), on: stream)
        case .close(let error): throw error
        }
    }

    private func stray(_ header: MessageHeader) throws(ReplicationError) {
        switch session.strayMessage(header) {
        case .ignore:
            guard header.flags.contains(.unsolicited) else { return }
            try unsolicited.received(byteCount: header.payloadByteCount)
            if !world.has(.leakCredit) { unsolicited.free(byteCount: header.payloadByteCount) }
        case .close(let error): throw error
        }
    }

    private func returnCredit(alongOthers: Bool) {
        if let byteCount = unsolicited.takeReturn(alongOthers: alongOthers) {
            send(.credit(byteCount: UInt64(byteCount)))
        }
    }
}

/// A request on the storage node's side; follows `ServerStream` of ReplicationTransport.
class ServerStream: MessageStream {
    let connection: ServerEnd
    let deadline: Int64?
    private(set) var isOver = false
    /// Whether a step of the store runs for it, which may use its memory.
    private var isServed = false
    private var lent = 0
    private var ticket: MemoryBudget.Ticket?

    var node: StorageProcess { connection.node }

    init(_ id: UInt32, timeoutMilliseconds: UInt32, _ connection: ServerEnd) {
        self.connection = connection
        self.deadline = timeoutMilliseconds == 0 ? nil : connection.world.now + Int64(timeoutMilliseconds) * 1000
        super.init(id: id)
    }

    func begin() {}
    func memoryGranted(afterWaiting: Bool) {}
    func memoryRefused(_ error: ReplicationError) { fail(error) }
    func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        if case .cancel = message { cancelled() }
    }
    func dataBegan(_ header: MessageHeader) throws(ReplicationError) -> (any DataTaking)? { nil }
    func othersWait() {}
    func ended() {}
    func cancelled() { end() }

    func fail(_ error: ReplicationError) {
        guard !isOver else { return }
        connection.send(.error(error), on: self)
        end()
    }

    final func reserveMemory(byteCount: Int) {
        switch node.memory.budget.reserve(byteCount: byteCount) {
        case .granted:
            lent = byteCount
            memoryGranted(afterWaiting: false)
        case .waiting(let ticket):
            self.ticket = ticket
            node.memory.wait(ticket) { [self] in
                self.ticket = nil
                guard !isOver else { return release(byteCount) }
                lent = byteCount
                memoryGranted(afterWaiting: true)
                connection.flush()
            }
            connection.streamWaitsForMemory()
        case .refused(let error): memoryRefused(error)
        }
    }

    /// Runs `work`, which calls back once.
    final func serve<Value>(
        _ work: (@escaping (Value) -> Void) -> Void,
        finished: @escaping (Value) -> Void
    ) {
        isServed = true
        work { [self] value in
            isServed = false
            finished(value)
            if isOver { releaseMemory() }
            if !connection.isClosed { connection.flush() }
        }
    }

    final func end() {
        guard !isOver else { return }
        isOver = true
        ended()
        if !isServed { releaseMemory() }
        connection.streamEnded(self)
    }

    private func releaseMemory() {
        if let ticket {
            node.memory.forget(ticket)
            let (wasWaiting, granted) = node.memory.budget.withdraw(ticket)
            self.ticket = nil
            wake(granted)
            _ = wasWaiting
        }
        guard lent > 0 else { return }
        let byteCount = lent
        lent = 0
        if connection.world.has(.leakMemory), connection.isClosed || connection.world.chance(10) { return }
        release(byteCount)
    }

    private func release(_ byteCount: Int) { wake(node.memory.budget.release(byteCount: byteCount)) }

    private func wake(_ tickets: [MemoryBudget.Ticket]) {
        for granted in node.memory.take(tickets) { node.after(0, granted) }
    }
}
