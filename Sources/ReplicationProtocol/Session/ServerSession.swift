// SPDX-License-Identifier: Apache-2.0

/// The server's view of one connection: handshake, stream ids, leaving.
///
/// Pure: events in, actions out. One connection owns it, on its event loop.
public struct ServerSession: Sendable {
    /// What is to be done about a HELLO.
    public enum HandshakeAction: Hashable, Sendable {
        /// Answer; streams may come.
        case accept(HelloAck, SessionAgreement)
        /// Say ERROR on stream 0 and close.
        case refuse(ReplicationError)
    }

    /// What is to be done about a message that opens a stream.
    public enum OpenAction: Hashable, Sendable {
        case accept
        /// Say ERROR on the stream; the connection goes on.
        case refuse(ReplicationError)
        /// Say ERROR on stream 0 and close.
        case close(ReplicationError)
    }

    /// What is to be done when the session may be over.
    public enum LeaveAction: Hashable, Sendable {
        case wait
        /// Tell the peer to open no more streams.
        case sayGoAway(GoAway)
        /// Tell it, and close: no stream is open.
        case sayGoAwayAndClose(GoAway)
        case close
    }

    /// What a message for a stream that is not open means.
    public enum StrayAction: Hashable, Sendable {
        /// It was sent before the peer saw the stream's end.
        case ignore
        case close(ReplicationError)
    }

    private enum State: Hashable, Sendable {
        /// Nothing but HELLO is allowed. Exits: `ready`, `closed`.
        case awaitingHello
        /// Exits: `draining`, `closed`.
        case ready(Streams)
        /// GOAWAY is sent: new streams are refused, open ones end. Exits: `closed`.
        case draining(Streams, GoAway)
        case closed
    }

    private struct Streams: Hashable, Sendable {
        var lastID: UInt32 = 0
        var openCount = 0
    }

    private let identity: HelloIdentity
    private let limits: SessionLimits
    private let versions: ClosedRange<UInt16>
    private let features: UInt64
    private var state: State = .awaitingHello

    public init(
        identity: HelloIdentity,
        limits: SessionLimits,
        versions: ClosedRange<UInt16> = ProtocolVersion.supported,
        features: UInt64 = 0
    ) {
        self.identity = identity
        self.limits = limits
        self.versions = versions
        self.features = features
    }

    /// Whether the handshake is still to come.
    public var isAwaitingHello: Bool {
        switch state {
        case .awaitingHello: true
        case .ready, .draining, .closed: false
        }
    }

    /// The client introduced itself.
    public mutating func helloReceived(_ hello: Hello) -> HandshakeAction {
        switch state {
        case .awaitingHello:
            let version = min(hello.versions.upperBound, versions.upperBound)
            if let error = objection(to: hello, version: version) {
                state = .closed
                return .refuse(error)
            }
            let features = hello.features & features
            state = .ready(Streams())
            return .accept(
                HelloAck(identity: identity, version: version, features: features, limits: limits),
                SessionAgreement(version: version, features: features, peer: hello.identity, limits: limits)
            )
        case .ready, .draining, .closed:
            state = .closed
            return .refuse(.violation("a second HELLO"))
        }
    }

    /// The client opens a stream.
    ///
    /// A refused stream counts as ended.
    public mutating func streamOpened(_ id: UInt32) -> OpenAction {
        switch state {
        case .awaitingHello, .closed:
            state = .closed
            return .close(.violation("a request before the handshake"))
        case .ready(var streams):
            if let error = objection(to: id, after: streams.lastID) { return .close(error) }
            streams.lastID = id
            guard streams.openCount < Int(limits.maximumStreams) else {
                state = .ready(streams)
                return .refuse(
                    ReplicationError(.overloaded, "more than \(limits.maximumStreams) requests on one connection")
                )
            }
            streams.openCount += 1
            state = .ready(streams)
            return .accept
        case .draining(var streams, let goAway):
            if let error = objection(to: id, after: streams.lastID) { return .close(error) }
            streams.lastID = id
            state = .draining(streams, goAway)
            return .refuse(ReplicationError(goAway.code, goAway.message))
        }
    }

    /// A stream that had been accepted is over, whichever way.
    public mutating func streamEnded() -> LeaveAction {
        switch state {
        case .ready(var streams):
            streams.openCount -= 1
            state = .ready(streams)
            return .wait
        case .draining(var streams, let goAway):
            streams.openCount -= 1
            state = .draining(streams, goAway)
            return streams.openCount == 0 ? .close : .wait
        case .awaitingHello, .closed:
            return .wait
        }
    }

    /// The server wants to leave, or the client does.
    public mutating func drain(code: ReplicationError.Code, _ message: String) -> LeaveAction {
        switch state {
        case .awaitingHello:
            state = .closed
            return .close
        case .ready(let streams):
            let goAway = GoAway(lastStreamID: streams.lastID, code: code, message: message)
            state = .draining(streams, goAway)
            return streams.openCount == 0 ? .sayGoAwayAndClose(goAway) : .sayGoAway(goAway)
        case .draining, .closed:
            return .wait
        }
    }

    /// A message arrived for a stream that is not open.
    public func strayMessage(_ header: MessageHeader) -> StrayAction {
        switch state {
        case .ready(let streams), .draining(let streams, _):
            header.streamID % 2 == 1 && header.streamID <= streams.lastID
                ? .ignore : .close(.violation("\(header.type.name) for stream \(header.streamID), never opened"))
        case .awaitingHello, .closed:
            .close(.violation("\(header.type.name) before the handshake"))
        }
    }

    /// The connection is gone.
    public mutating func closed() {
        state = .closed
    }

    private func objection(to hello: Hello, version: UInt16) -> ReplicationError? {
        guard hello.identity.clusterID == identity.clusterID else {
            return ReplicationError(.wrongCluster, "this node belongs to cluster \(identity.clusterID), not to yours")
        }
        if let expected = hello.expectedNodeID, expected != identity.nodeID {
            return ReplicationError(.wrongNode, "this is node \(identity.nodeID), not \(expected)")
        }
        guard version >= max(hello.versions.lowerBound, versions.lowerBound) else {
            return ReplicationError(
                .unsupportedVersion,
                "versions \(versions.lowerBound) ... \(versions.upperBound) here, "
                    + "\(hello.versions.lowerBound) ... \(hello.versions.upperBound) there"
            )
        }
        guard hello.requiredFeatures & ~features == 0 else {
            return ReplicationError(.unsupported, "a feature the client cannot do without is not offered")
        }
        return nil
    }

    private func objection(to id: UInt32, after lastID: UInt32) -> ReplicationError? {
        id % 2 == 1 && id > lastID ? nil : .violation("stream \(id) opened after stream \(lastID)")
    }
}
