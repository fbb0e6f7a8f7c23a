// SPDX-License-Identifier: Apache-2.0

public import Placement

/// Under what a coordinator gives an order: a storage node refuses orders of a lower term, and such as take something
/// away also when they were made under an older map.
public struct OrderStamp: Hashable, Sendable {
    public var term: Term
    public var mapEpoch: MapEpoch

    public init(term: Term, mapEpoch: MapEpoch) {
        self.term = term
        self.mapEpoch = mapEpoch
    }
}

/// PULL: a node is to fetch a record from another node and store it.
public struct PullRequest: Hashable, Sendable {
    public var recordID: RecordID
    /// What kind of record it is; 1 for an instance.
    public var recordType: UInt8
    public var stamp: OrderStamp
    /// The node that has it, and its address.
    public var sourceNodeID: NodeID
    public var host: String
    public var port: UInt16
    public var timeoutMilliseconds: UInt32

    public init(
        recordID: RecordID,
        recordType: UInt8 = 1,
        stamp: OrderStamp,
        sourceNodeID: NodeID,
        host: String,
        port: UInt16,
        timeoutMilliseconds: UInt32 = 0
    ) {
        self.recordID = recordID
        self.recordType = recordType
        self.stamp = stamp
        self.sourceNodeID = sourceNodeID
        self.host = host
        self.port = port
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// PULL-PROGRESS: how far a pull has come.
public struct PullProgress: Hashable, Sendable {
    public var receivedByteCount: UInt64
    public var payloadByteCount: UInt64

    public init(receivedByteCount: UInt64, payloadByteCount: UInt64) {
        self.receivedByteCount = receivedByteCount
        self.payloadByteCount = payloadByteCount
    }
}

/// PURGE-PERMIT: a node may destroy segments that it retired before a moment.
public struct PurgeRequest: Hashable, Sendable {
    public var permit: ReferenceID
    public var stamp: OrderStamp
    /// Milliseconds since 1970 UTC: what was retired later stays.
    public var retiredBeforeMilliseconds: UInt64
    /// At most so many segments are destroyed.
    public var maximumSegmentCount: UInt64
    public var timeoutMilliseconds: UInt32

    public init(
        permit: ReferenceID,
        stamp: OrderStamp,
        retiredBeforeMilliseconds: UInt64,
        maximumSegmentCount: UInt64,
        timeoutMilliseconds: UInt32 = 0
    ) {
        self.permit = permit
        self.stamp = stamp
        self.retiredBeforeMilliseconds = retiredBeforeMilliseconds
        self.maximumSegmentCount = maximumSegmentCount
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// PURGE-RESULT: what a node did with a permit.
public struct PurgeResult: Hashable, Sendable {
    public var purgedSegmentCount: UInt64
    /// Retired before the moment and still there: beyond the limit, or not long enough in the trash.
    public var remainingSegmentCount: UInt64

    public init(purgedSegmentCount: UInt64, remainingSegmentCount: UInt64) {
        self.purgedSegmentCount = purgedSegmentCount
        self.remainingSegmentCount = remainingSegmentCount
    }
}

/// MAP: the coordinator tells a node which placement map is in force and whether the node is in it.
public struct MapRequest: Hashable, Sendable {
    public var stamp: OrderStamp
    /// Whether the node is a member that takes records.
    public var isMember: Bool
    public var timeoutMilliseconds: UInt32

    public init(stamp: OrderStamp, isMember: Bool, timeoutMilliseconds: UInt32 = 0) {
        self.stamp = stamp
        self.isMember = isMember
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}
