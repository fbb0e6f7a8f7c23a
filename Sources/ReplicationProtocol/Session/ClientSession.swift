// SPDX-License-Identifier: Apache-2.0

/// The client's view of one connection: handshake, stream ids, leaving.
///
/// Pure: events in, actions out. One connection owns it, on its event loop. It knows which streams may be opened and
/// what a message for a stream that is no longer open means; what happens inside a stream is the stream's own affair.
public struct ClientSession: Sendable {
    /// What is to be done about a HELLO-ACK.
    public enum HandshakeAction: Hashable, Sendable {
        /// Streams may be opened.
        case begin(SessionAgreement)
        /// The peer is not the one we want, or breaks the rules: close.
        case close(ReplicationError)
    }

    /// Whether a new stream may be opened.
    public enum OpenAction: Hashable, Sendable {
        case open(UInt32)
        case refuse(ReplicationError)
        /// The ids are used up and no stream is open: close, so that a new connection can take over.
        case refuseAndClose(ReplicationError)
    }

    /// What is to be done when the session may be over.
    public enum LeaveAction: Hashable, Sendable {
        case wait
        /// No stream is open any more: close.
        case close
    }

    /// What a message for a stream that is not open means.
    public enum StrayAction: Hashable, Sendable {
        /// It crossed with our CANCEL or with the stream's end.
        case ignore
        case close(ReplicationError)
    }

    private enum State: Hashable, Sendable {
        /// Before the connection is up. Exits: `awaitingAck`, `closed`.
        case idle
        /// HELLO is sent. Exits: `ready`, `closed`.
        case awaitingAck
        /// Streams may be opened. Exits: `draining`, `closed`.
        case ready(SessionAgreement, Streams)
        /// The peer said GOAWAY or the ids are used up: open streams end, none are opened. Exits: `closed`.
        case draining(SessionAgreement, Streams, reason: ReplicationError)
        case closed
    }

    private struct Streams: Hashable, Sendable {
        /// The next id; odd.
        ///
        /// `nil` when the ids are used up.
        var nextID: UInt32?
        var openCount = 0
    }

    private let hello: Hello
    private let firstStreamID: UInt32
    private var state: State = .idle

    /// Prepares a session.
    ///
    /// `firstStreamID` is 1 except in tests.
    public init(hello: Hello, firstStreamID: UInt32 = 1) {
        precondition(firstStreamID % 2 == 1, "a client's stream ids are odd")
        self.hello = hello
        self.firstStreamID = firstStreamID
    }

    /// The connection is up; returns the HELLO to send.
    public mutating func connected() -> Hello {
        switch state {
        case .idle:
            state = .awaitingAck
            return hello
        case .awaitingAck, .ready, .draining, .closed:
            preconditionFailure("a connection comes up once")
        }
    }

    /// The peer answered HELLO.
    public mutating func helloAckReceived(_ ack: HelloAck) -> HandshakeAction {
        switch state {
        case .awaitingAck:
            if let error = objection(to: ack) {
                state = .closed
                return .close(error)
            }
            let agreement = SessionAgreement(
                version: ack.version,
                features: ack.features & hello.features,
                peer: ack.identity,
                limits: ack.limits
            )
            state = .ready(agreement, Streams(nextID: firstStreamID))
            return .begin(agreement)
        case .idle, .ready, .draining, .closed:
            state = .closed
            return .close(.violation("HELLO-ACK out of place"))
        }
    }

    /// Someone wants to send a request.
    public mutating func openStream() -> OpenAction {
        switch state {
        case .idle, .awaitingAck, .closed:
            return .refuse(ReplicationError(.notConnected, "no connection to the node yet"))
        case .ready(let agreement, var streams):
            guard streams.openCount < Int(agreement.limits.maximumStreams) else {
                return .refuse(ReplicationError(.overloaded, "\(streams.openCount) requests are under way already"))
            }
            guard let id = streams.nextID else {
                state = .draining(
                    agreement,
                    streams,
                    reason: ReplicationError(.notConnected, "the connection's stream ids are used up", retry: .sameNode)
                )
                return openStream()
            }
            streams.nextID = id > .max - 2 ? nil : id + 2
            streams.openCount += 1
            state = .ready(agreement, streams)
            return .open(id)
        case .draining(_, let streams, let reason):
            return streams.openCount == 0 ? .refuseAndClose(reason) : .refuse(reason)
        }
    }

    /// A stream is over, whichever way.
    public mutating func streamEnded() -> LeaveAction {
        switch state {
        case .ready(let agreement, var streams):
            streams.openCount -= 1
            state = .ready(agreement, streams)
            return .wait
        case .draining(let agreement, var streams, let reason):
            streams.openCount -= 1
            state = .draining(agreement, streams, reason: reason)
            return streams.openCount == 0 ? .close : .wait
        case .idle, .awaitingAck, .closed:
            return .wait
        }
    }

    /// The peer takes no new streams.
    ///
    /// Streams above its `lastStreamID` have had no effect and fail.
    public mutating func goAwayReceived(_ goAway: GoAway) -> LeaveAction {
        let reason = ReplicationError(goAway.code, goAway.message)
        switch state {
        case .ready(let agreement, let streams), .draining(let agreement, let streams, _):
            state = .draining(agreement, streams, reason: reason)
            return streams.openCount == 0 ? .close : .wait
        case .idle, .awaitingAck, .closed:
            state = .closed
            return .close
        }
    }

    /// We take no new streams any more ourselves.
    public mutating func drain() -> LeaveAction {
        switch state {
        case .ready(let agreement, let streams), .draining(let agreement, let streams, _):
            state = .draining(
                agreement,
                streams,
                reason: ReplicationError(.shuttingDown, "the client is shutting down", retry: .never)
            )
            return streams.openCount == 0 ? .close : .wait
        case .idle, .awaitingAck, .closed:
            state = .closed
            return .close
        }
    }

    /// A message arrived for a stream that is not open.
    public func strayMessage(_ header: MessageHeader) -> StrayAction {
        switch state {
        case .ready(_, let streams), .draining(_, let streams, _):
            let wasOpened = header.streamID % 2 == 1 && streams.nextID.map { header.streamID < $0 } ?? true
            return wasOpened && header.streamID >= firstStreamID
                ? .ignore : .close(.violation("\(header.type.name) for stream \(header.streamID), never opened"))
        case .idle, .awaitingAck, .closed:
            return .close(.violation("\(header.type.name) before the handshake"))
        }
    }

    /// The connection is gone.
    public mutating func closed() {
        state = .closed
    }

    private func objection(to ack: HelloAck) -> ReplicationError? {
        let identity = ack.identity
        guard identity.clusterID == hello.identity.clusterID else {
            return ReplicationError(.wrongCluster, "the node belongs to cluster \(identity.clusterID), not to ours")
        }
        if let expected = hello.expectedNodeID, identity.nodeID != expected {
            return ReplicationError(.wrongNode, "node \(identity.nodeID) answers where \(expected) is expected")
        }
        guard hello.versions.contains(ack.version) else {
            return ReplicationError(.unsupportedVersion, "the node chose version \(ack.version), which we don't speak")
        }
        guard hello.requiredFeatures & ~ack.features == 0 else {
            return ReplicationError(.unsupported, "the node lacks a feature we cannot do without")
        }
        return nil
    }
}
