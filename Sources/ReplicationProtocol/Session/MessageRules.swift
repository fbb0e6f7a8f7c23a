// SPDX-License-Identifier: Apache-2.0

/// One end of a connection: the client connects and opens streams, the server answers.
public enum Side: Sendable {
    case client
    case server
}

extension MessageType {
    /// Whether `side` may send a message of this type on the given stream at all; stream 0 is the connection itself.
    ///
    /// What may be sent at a certain moment is for the session and the streams to say.
    public func isAllowed(from side: Side, onStream streamID: UInt32) -> Bool {
        let isForConnection = streamID == 0
        return switch self {
        case .hello: isForConnection && side == .client
        case .helloAck: isForConnection && side == .server
        case .ping, .pong, .goAway: isForConnection
        // A client grants credit on its gets; a server on puts and, as stream 0, on all of them together.
        case .credit: side == .server || !isForConnection
        case .cancel, .putBegin, .putCommit, .get, .head, .verify, .list, .status, .places, .amend,
            .amendments, .digest, .pull, .purgePermit, .map, .damage, .healed, .drop, .buildPack,
            .verifyPack, .recall, .removePack:
            !isForConnection && side == .client
        case .data, .metadata: !isForConnection
        case .putAck, .getBegin, .headResult, .verifyResult, .listResult, .statusResult,
            .placesResult, .amendResult, .amendmentsResult, .digestResult, .pullProgress, .pullResult, .purgeResult,
            .mapResult,
            .damageResult, .healedResult, .dropResult, .buildPackResult, .verifyPackResult,
            .recallResult, .removePackResult:
            !isForConnection && side == .server
        // Only a server fails a single stream; a client withdraws it with CANCEL.
        case .error: isForConnection || side == .server
        }
    }
}

/// Numbers the messages of one stream and checks the peer's numbers.
///
/// A message that is lost or doubled on the way (by a proxy, or by a fault of our own) shows as a wrong number.
public struct MessageSequence: Hashable, Sendable {
    private var nextOutbound: UInt32 = 0
    private var nextInbound: UInt32 = 0

    public init() {}

    /// The number of the next message to be sent.
    ///
    /// Numbers start over after 2^32 messages.
    public mutating func next() -> UInt32 {
        defer { nextOutbound &+= 1 }
        return nextOutbound
    }

    /// Accepts the number of a message that was received.
    public mutating func received(_ header: MessageHeader) throws(ReplicationError) {
        guard header.sequence == nextInbound else {
            throw .violation("message \(header.sequence) of stream \(header.streamID), expected was \(nextInbound)")
        }
        nextInbound &+= 1
    }
}
