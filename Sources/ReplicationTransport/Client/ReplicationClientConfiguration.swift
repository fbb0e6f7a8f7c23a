// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// How a client treats its one peer.
public struct ReplicationClientConfiguration: Sendable {
    /// Memory for payloads that are being read; all clients of a process share it unless told otherwise.
    public var memory = ReplicationMemoryBudget.ofAllClients
    /// Our certificate and whom we trust; `nil` for plain TCP.
    public var tls: ReplicationTLS?
    /// Time for a request from the call to its answer, unless the call says otherwise.
    public var requestTimeout: TimeAmount = .seconds(30)
    /// Time for TCP to connect, and again for the handshake.
    public var connectTimeout: TimeAmount = .seconds(5)
    /// The first and the longest pause between attempts to connect.
    public var initialReconnectPause: TimeAmount = .milliseconds(100)
    public var maximumReconnectPause: TimeAmount = .seconds(5)
    /// Silence after which the peer is asked for a sign of life, and after which it is given up.
    public var pingInterval: TimeAmount = .seconds(1)
    public var pingTimeout: TimeAmount = .seconds(5)
    /// The largest payload that ``ReplicationClient/get(_:range:timeout:)`` returns.
    public var maximumGetByteCount = 64 << 20
    /// Bytes of a streamed get held at once.
    public var streamWindowByteCount = 4 << 20
    /// Bytes of a streamed put taken from its producer ahead of the network.
    public var sendAheadByteCount = 1 << 20
    /// Requests that wait for the very first connection at most; later ones fail at once while there is none.
    public var maximumEarlyRequests = 1024

    public init() {}
}
