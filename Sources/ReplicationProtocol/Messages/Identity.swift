// SPDX-License-Identifier: Apache-2.0

public import Placement

/// The part a process plays in the cluster.
public enum NodeRole: UInt8, Sendable, CaseIterable {
    case ingest = 1
    case storage = 2
    case coordinator = 3
    case tool = 4
}

/// Who one end of a connection is: what HELLO and HELLO-ACK say of their sender.
public struct HelloIdentity: Hashable, Sendable {
    /// The most bytes each label of `domain` and `software` may have in UTF-8; longer ones are cut.
    public static let maximumTextByteCount = 255

    public var clusterID: ClusterID
    public var nodeID: NodeID
    /// Rises with every start of the node, so that an old connection can be told from a new one.
    public var incarnation: UInt64
    public var role: NodeRole
    public var domain: FailureDomain
    public var mapEpoch: MapEpoch
    /// The highest coordinator term seen.
    public var term: Term
    /// Name and version of the program, for logs.
    public var software: String

    public init(
        clusterID: ClusterID,
        nodeID: NodeID,
        incarnation: UInt64,
        role: NodeRole,
        domain: FailureDomain = FailureDomain(host: ""),
        mapEpoch: MapEpoch = MapEpoch(rawValue: 0),
        term: Term = Term(rawValue: 0),
        software: String = "varve"
    ) {
        self.clusterID = clusterID
        self.nodeID = nodeID
        self.incarnation = incarnation
        self.role = role
        self.domain = domain
        self.mapEpoch = mapEpoch
        self.term = term
        self.software = software
    }
}

/// HELLO: the first message of a connection, sent by the client.
public struct Hello: Hashable, Sendable {
    public var identity: HelloIdentity
    /// The protocol versions the client speaks.
    public var versions: ClosedRange<UInt16>
    /// Optional abilities the client has; none are defined yet.
    public var features: UInt64
    /// The abilities without which the client will not go on.
    public var requiredFeatures: UInt64
    /// The node the client wants to talk to; `nil` for whoever answers.
    public var expectedNodeID: NodeID?

    public init(
        identity: HelloIdentity,
        versions: ClosedRange<UInt16> = ProtocolVersion.supported,
        features: UInt64 = 0,
        requiredFeatures: UInt64 = 0,
        expectedNodeID: NodeID? = nil
    ) {
        self.identity = identity
        self.versions = versions
        self.features = features
        self.requiredFeatures = requiredFeatures
        self.expectedNodeID = expectedNodeID
    }
}

/// HELLO-ACK: the server's answer; after it the connection carries streams.
public struct HelloAck: Hashable, Sendable {
    public var identity: HelloIdentity
    /// The version both sides use from now on.
    public var version: UInt16
    /// The abilities both sides have.
    public var features: UInt64
    public var limits: SessionLimits

    public init(identity: HelloIdentity, version: UInt16, features: UInt64, limits: SessionLimits) {
        self.identity = identity
        self.version = version
        self.features = features
        self.limits = limits
    }
}

/// What a server allows a client on one connection; announced in HELLO-ACK.
public struct SessionLimits: Hashable, Sendable {
    /// Bytes a put may send before it has received any CREDIT of its own.
    public var streamCredit: UInt32
    /// Bytes that all puts of the connection together may have sent that way and not got back.
    public var connectionCredit: UInt32
    /// Streams open at once.
    public var maximumStreams: UInt32
    /// The server closes a connection on which it has heard nothing for so long.
    public var idleTimeoutMilliseconds: UInt32

    public init(
        streamCredit: UInt32 = 1 << 20,
        connectionCredit: UInt32 = 2 << 20,
        maximumStreams: UInt32 = 1024,
        idleTimeoutMilliseconds: UInt32 = 30_000
    ) {
        self.streamCredit = streamCredit
        self.connectionCredit = connectionCredit
        self.maximumStreams = maximumStreams
        self.idleTimeoutMilliseconds = idleTimeoutMilliseconds
    }
}

/// GOAWAY: the sender takes no new streams and will close when the open ones have ended.
public struct GoAway: Hashable, Sendable {
    /// The highest stream the sender has accepted or will accept; later ones had no effect.
    public var lastStreamID: UInt32
    public var code: ReplicationError.Code
    public var message: String

    public init(lastStreamID: UInt32, code: ReplicationError.Code, message: String) {
        self.lastStreamID = lastStreamID
        self.code = code
        self.message = message
    }
}
