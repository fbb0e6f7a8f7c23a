// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import ReplicationProtocol

/// How a node listens to its peers, and how much it lets them have.
public struct ReplicationServerConfiguration: Sendable {
    /// Where to listen; port 0 takes any free one.
    public var host: String
    public var port: Int
    /// The path of a Unix socket to listen on as well, for peers on the same host; see ``LocalSocket``.
    public var localSocket: String?
    /// Who we are.
    public var identity: HelloIdentity
    public var limits = Limits()
    /// The node's certificate and whom it trusts; `nil` for plain TCP.
    public var tls: ReplicationTLS?
    /// Memory for payloads in transit; `maximumConnections * connectionCreditByteCount` of it is set aside at the start.
    public var memory = ReplicationMemoryBudget(byteCount: 512 << 20)
    /// Counts what the node is asked for by others than the cluster itself.
    public var foreground = ForegroundMeter()

    /// The server's limits.
    ///
    /// Each is tested where it is reached.
    public struct Limits: Sendable {
        /// Connections at once; further ones are told so and closed.
        public var maximumConnections = 128
        /// Streams at once on one connection; further ones are refused as overloaded.
        public var maximumStreamsPerConnection = 1024
        /// Bytes a put may send before any CREDIT.
        public var streamCreditByteCount = 1 << 20
        /// Bytes all puts of a connection may have in transit that way; set aside for each connection.
        public var connectionCreditByteCount = 2 << 20
        /// The largest payload.
        public var maximumPayloadByteCount: UInt64 = 1 << 40
        /// Payloads up to this are handed to the service whole.
        public var maximumWholePayloadByteCount = 16 << 20
        /// Bytes of a larger payload held at once.
        public var windowByteCount = 4 << 20
        /// Bytes read from a source and not sent, for each get.
        public var readAheadByteCount = 1 << 20
        /// Time for HELLO after the connection is made.
        public var handshakeTimeout: TimeAmount = .seconds(10)
        /// Silence after which a connection is closed; clients ping more often.
        public var idleTimeout: TimeAmount = .seconds(30)

        public init() {}
    }

    public init(host: String, port: Int, identity: HelloIdentity) {
        self.host = host
        self.port = port
        self.identity = identity
    }
}

extension ReplicationServerConfiguration.Limits {
    /// What HELLO-ACK announces.
    var session: SessionLimits {
        SessionLimits(
            streamCredit: UInt32(clamping: streamCreditByteCount),
            connectionCredit: UInt32(clamping: connectionCreditByteCount),
            maximumStreams: UInt32(clamping: maximumStreamsPerConnection),
            idleTimeoutMilliseconds: UInt32(clamping: idleTimeout.nanoseconds / 1_000_000)
        )
    }

    /// What a put may have.
    var put: PutReceiver.Limits {
        PutReceiver.Limits(
            maximumPayloadByteCount: maximumPayloadByteCount,
            maximumWholePayloadByteCount: maximumWholePayloadByteCount,
            windowByteCount: windowByteCount,
            streamCredit: streamCreditByteCount
        )
    }
}
