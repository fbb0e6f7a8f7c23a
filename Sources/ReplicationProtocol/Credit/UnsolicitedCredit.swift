// SPDX-License-Identifier: Apache-2.0

/// The server's account of the bytes that may arrive on a connection without having been granted to a stream.
///
/// The connection holds this much memory for as long as it lives, so that a put need not wait for a round trip.
public struct UnsolicitedCredit: Hashable, Sendable {
    private let limit: Int
    /// Bytes received and not yet given back.
    private var heldByteCount = 0
    /// Bytes to be given back with the next CREDIT.
    private var returnableByteCount = 0

    public init(limit: Int) {
        self.limit = limit
    }

    /// Unsolicited bytes arrive.
    public mutating func received(byteCount: Int) throws(ReplicationError) {
        guard byteCount <= limit - heldByteCount else {
            throw .violation("\(byteCount) unsolicited bytes with \(limit - heldByteCount) of credit left")
        }
        heldByteCount += byteCount
    }

    /// Bytes that arrived no longer need the connection's memory.
    public mutating func free(byteCount: Int) {
        returnableByteCount += byteCount
    }

    /// The bytes to give back by CREDIT on stream 0 now: all when other messages are sent anyway, else only when they
    /// are worth a message.
    public mutating func takeReturn(alongOthers: Bool) -> Int? {
        guard returnableByteCount > 0, alongOthers || returnableByteCount >= limit / 4 else { return nil }
        defer { returnableByteCount = 0 }
        heldByteCount -= returnableByteCount
        return returnableByteCount
    }
}

/// The sender's side: what a client may still send unsolicited on the connection.
public struct ConnectionCredit: Hashable, Sendable {
    private let limit: UInt64
    /// Bytes that may be sent.
    public private(set) var byteCount: UInt64

    public init(limit: UInt32) {
        self.limit = UInt64(limit)
        self.byteCount = UInt64(limit)
    }

    /// CREDIT came for stream 0.
    public mutating func received(byteCount: UInt64) throws(ReplicationError) {
        guard byteCount <= limit - self.byteCount else { throw .violation("more connection credit back than was used") }
        self.byteCount += byteCount
    }

    /// Bytes are sent.
    public mutating func spend(byteCount: Int) {
        self.byteCount -= UInt64(byteCount)
    }
}
