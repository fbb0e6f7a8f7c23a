// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import NIOCore
public import Placement

/// A record to be stored: everything but its payload.
public struct PutRequest: Hashable, Sendable {
    /// The most bytes of metadata a record may have.
    public static let maximumMetadataByteCount = 4 << 20

    public var recordID: RecordID
    public var recordType: UInt8
    public var metadata: ByteBuffer
    public var payloadByteCount: UInt64
    public var payloadDigest: SHA256Digest
    public var mapEpoch: MapEpoch
    /// The coordinator's term, on writes that a coordinator orders.
    public var term: Term?

    public init(
        recordID: RecordID,
        recordType: UInt8,
        metadata: ByteBuffer,
        payloadByteCount: UInt64,
        payloadDigest: SHA256Digest,
        mapEpoch: MapEpoch,
        term: Term? = nil
    ) {
        self.recordID = recordID
        self.recordType = recordType
        self.metadata = metadata
        self.payloadByteCount = payloadByteCount
        self.payloadDigest = payloadDigest
        self.mapEpoch = mapEpoch
        self.term = term
    }
}

/// How a put ended well.
///
/// Either way the record is durable on the node.
public enum PutOutcome: UInt8, Sendable, CaseIterable {
    /// The record was written.
    case stored = 1
    /// The node had the same record already.
    case alreadyStored = 2
}

/// PUT-BEGIN: opens a put.
///
/// The payload follows in DATA messages, unasked for within the credits.
public struct PutBegin: Hashable, Sendable {
    /// The most metadata bytes that fit into PUT-BEGIN itself; the rest follows in METADATA messages.
    public static let maximumInlineMetadataByteCount = 128 * 1024
    static let fixedByteCount = 88

    /// The request, whose `metadata` holds the bytes that are in PUT-BEGIN itself.
    public var request: PutRequest
    /// The metadata's bytes in all.
    public var metadataByteCount: Int
    /// The time the client waits for an answer; 0 for no limit.
    public var timeoutMilliseconds: UInt32

    public init(request: PutRequest, metadataByteCount: Int, timeoutMilliseconds: UInt32) {
        self.request = request
        self.metadataByteCount = metadataByteCount
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// PUT-BEGIN for a complete request: as much of its metadata as fits.
    public init(_ request: PutRequest, timeoutMilliseconds: UInt32) {
        var request = request
        self.metadataByteCount = request.metadata.readableBytes
        if let inline = request.metadata.getSlice(
            at: request.metadata.readerIndex,
            length: min(metadataByteCount, Self.maximumInlineMetadataByteCount)
        ) {
            request.metadata = inline
        }
        self.request = request
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// GET: asks for a range of a record's payload.
public struct GetRequest: Hashable, Sendable {
    public var recordID: RecordID
    /// The wanted bytes; `nil` for all.
    ///
    /// What lies beyond the payload's end is not an error unless nothing is left.
    public var range: Range<UInt64>?
    /// Bytes of DATA the server may send before it gets more by CREDIT.
    public var credit: UInt64
    public var timeoutMilliseconds: UInt32

    public init(recordID: RecordID, range: Range<UInt64>?, credit: UInt64, timeoutMilliseconds: UInt32) {
        self.recordID = recordID
        self.range = range
        self.credit = credit
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// GET-BEGIN: what the DATA messages that follow contain.
public struct GetBegin: Hashable, Sendable {
    /// The whole payload.
    public var payloadByteCount: UInt64
    public var payloadDigest: SHA256Digest
    /// The part of it that follows.
    public var range: Range<UInt64>

    public init(payloadByteCount: UInt64, payloadDigest: SHA256Digest, range: Range<UInt64>) {
        self.payloadByteCount = payloadByteCount
        self.payloadDigest = payloadDigest
        self.range = range
    }
}

/// HEAD and VERIFY: a question about one record.
public struct RecordQuery: Hashable, Sendable {
    public var recordID: RecordID
    public var timeoutMilliseconds: UInt32

    public init(recordID: RecordID, timeoutMilliseconds: UInt32) {
        self.recordID = recordID
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// What a node knows of a record without its payload.
public struct HeadResult: Hashable, Sendable {
    public var metadata: ByteBuffer
    public var payloadByteCount: UInt64
    public var payloadDigest: SHA256Digest

    public init(metadata: ByteBuffer, payloadByteCount: UInt64, payloadDigest: SHA256Digest) {
        self.metadata = metadata
        self.payloadByteCount = payloadByteCount
        self.payloadDigest = payloadDigest
    }
}

/// HEAD-RESULT when there is a record; metadata that does not fit follows in METADATA messages.
public struct HeadBegin: Hashable, Sendable {
    /// The result, whose `metadata` holds the bytes that are in HEAD-RESULT itself.
    public var result: HeadResult
    /// The metadata's bytes in all.
    public var metadataByteCount: Int

    public init(result: HeadResult, metadataByteCount: Int) {
        self.result = result
        self.metadataByteCount = metadataByteCount
    }

    /// HEAD-RESULT for a complete result: as much of its metadata as fits.
    public init(_ result: HeadResult) {
        var result = result
        self.metadataByteCount = result.metadata.readableBytes
        if let inline = result.metadata.getSlice(
            at: result.metadata.readerIndex,
            length: min(metadataByteCount, PutBegin.maximumInlineMetadataByteCount)
        ) {
            result.metadata = inline
        }
        self.result = result
    }
}

/// LIST: asks for the ids of a group's records in ascending order.
public struct ListRequest: Hashable, Sendable {
    /// The most ids one answer holds.
    public static let maximumCount = 8192

    public var group: PlacementGroup
    /// Only ids above this one.
    public var after: RecordID?
    /// At most so many, 1 ...
    ///
    /// `maximumCount`.
    public var limit: Int
    public var timeoutMilliseconds: UInt32

    public init(group: PlacementGroup, after: RecordID?, limit: Int, timeoutMilliseconds: UInt32) {
        self.group = group
        self.after = after
        self.limit = limit
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// STATUS-RESULT: how a storage node is doing.
public struct NodeStatusReport: Hashable, Sendable {
    public var recordCount: UInt64
    public var usedBytes: UInt64
    public var freeBytes: UInt64
    public var acceptsWrites: Bool
    /// Whether the node was stopped uncleanly and has not yet compared with a peer.
    public var isUncertain: Bool
    /// Why the node takes no writes, or what else is wrong with it; empty when all is well.
    public var reason: String
    /// What the checking of its records has found; `nil` when the node does not say.
    public var scrub: ScrubStatus?
    /// How much of the cluster's groups the node is to have; `nil` when it does not say.
    ///
    /// Sent only beside ``scrub``.
    public var capacity: NodeCapacity?
    /// Records that were put and got for somebody who waits, since the start of its process; `nil` when the node does not say.
    ///
    /// Sent only beside ``capacity``.
    public var foregroundRequestCount: UInt64?

    public init(
        recordCount: UInt64,
        usedBytes: UInt64,
        freeBytes: UInt64,
        acceptsWrites: Bool,
        isUncertain: Bool = false,
        reason: String = "",
        scrub: ScrubStatus? = nil,
        capacity: NodeCapacity? = nil,
        foregroundRequestCount: UInt64? = nil
    ) {
        self.recordCount = recordCount
        self.usedBytes = usedBytes
        self.freeBytes = freeBytes
        self.acceptsWrites = acceptsWrites
        self.isUncertain = isUncertain
        self.reason = reason
        self.scrub = scrub
        self.capacity = capacity
        self.foregroundRequestCount = foregroundRequestCount
    }
}

/// What a storage node has room for.
public struct NodeCapacity: Hashable, Sendable {
    /// Of the file systems that its disks are on, each counted once: what is in use and what is free.
    public var byteCount: UInt64
    /// What it is to count in the placement map: its capacity in GiB, or what its operator has set; 0: it is to hold nothing.
    public var weight: UInt32

    public init(byteCount: UInt64, weight: UInt32) {
        self.byteCount = byteCount
        self.weight = weight
    }
}

/// What a node knows of the health of its records.
public struct ScrubStatus: Hashable, Sendable {
    /// Records, or ranges of the disk, that are damaged and wait for a good copy.
    public var quarantinedCount: UInt64
    /// The time since the record was checked whose last check is longest ago; `nil` when it is not known.
    public var oldestUnverifiedSeconds: UInt64?

    public init(quarantinedCount: UInt64, oldestUnverifiedSeconds: UInt64? = nil) {
        self.quarantinedCount = quarantinedCount
        self.oldestUnverifiedSeconds = oldestUnverifiedSeconds
    }
}
