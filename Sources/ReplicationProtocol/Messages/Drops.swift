// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import Placement

/// DROP: a node is to let copies go that are surplus: all that are wanted are on other nodes.
///
/// Of none: nothing is dropped, and nothing that was ordered before takes effect any more.
public struct DropRequest: Hashable, Sendable {
    /// The most records of one order.
    public static let maximumCount = 1024

    /// One copy.
    public struct Item: Hashable, Sendable {
        /// The number of bytes in a message.
        static let byteCount = 56

        public var recordID: RecordID
        /// Of the payload that the other copies have.
        public var payloadDigest: SHA256Digest
        /// Whether the other copies are held, should this one be.
        public var isHeldElsewhere: Bool

        public init(recordID: RecordID, payloadDigest: SHA256Digest, isHeldElsewhere: Bool = false) {
            self.recordID = recordID
            self.payloadDigest = payloadDigest
            self.isHeldElsewhere = isHeldElsewhere
        }
    }

    public var permit: ReferenceID
    public var stamp: OrderStamp
    /// Rises with each order of its term to the node, which refuses one that comes after a later one.
    public var sequence: UInt64
    public var items: [Item]
    public var timeoutMilliseconds: UInt32

    public init(
        permit: ReferenceID,
        stamp: OrderStamp,
        sequence: UInt64,
        items: [Item],
        timeoutMilliseconds: UInt32 = 0
    ) {
        self.permit = permit
        self.stamp = stamp
        self.sequence = sequence
        self.items = items
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// What became of a copy that was to be dropped.
public enum RecordDropOutcome: UInt8, Sendable, CaseIterable {
    /// It is not there any more, durably.
    case dropped = 1
    /// It was not there.
    case absent = 2
    /// The record is deleted; its bytes go with the deletion.
    case deleted = 3
    /// It is held there, and the others were not said to be.
    case held = 4
    /// It has another payload than the other copies.
    case differs = 5
    /// It is damaged, and so was not compared.
    case damaged = 6
}
