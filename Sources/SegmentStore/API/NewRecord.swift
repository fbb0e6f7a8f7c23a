// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import NIOCore
public import Placement
public import SegmentFormat

/// A record to be stored.
public struct NewRecord: Sendable {
    public var id: RecordID
    public var type: RecordType
    public var metadata: ByteBuffer
    public var payload: ByteBuffer
    /// The SHA-256 of the payload.
    public var payloadDigest: SHA256Digest
    public var mapEpoch: MapEpoch
    /// Milliseconds since 1970.
    public var writtenAtMilliseconds: Int64
    /// Whether the caller has computed the payload's digest and found it equal; otherwise the store does.
    public var digestIsVerified: Bool

    public init(
        id: RecordID,
        type: RecordType,
        metadata: ByteBuffer,
        payload: ByteBuffer,
        payloadDigest: SHA256Digest,
        mapEpoch: MapEpoch,
        writtenAtMilliseconds: Int64,
        digestIsVerified: Bool = false
    ) {
        self.id = id
        self.type = type
        self.metadata = metadata
        self.payload = payload
        self.payloadDigest = payloadDigest
        self.mapEpoch = mapEpoch
        self.writtenAtMilliseconds = writtenAtMilliseconds
        self.digestIsVerified = digestIsVerified
    }
}

/// A record to be stored whose payload follows piece by piece.
public struct NewLargeRecord: Sendable {
    public var id: RecordID
    public var type: RecordType
    public var metadata: ByteBuffer
    public var payloadByteCount: UInt64
    /// The SHA-256 of the payload.
    public var payloadDigest: SHA256Digest
    public var mapEpoch: MapEpoch
    /// Milliseconds since 1970.
    public var writtenAtMilliseconds: Int64

    public init(
        id: RecordID,
        type: RecordType,
        metadata: ByteBuffer,
        payloadByteCount: UInt64,
        payloadDigest: SHA256Digest,
        mapEpoch: MapEpoch,
        writtenAtMilliseconds: Int64
    ) {
        self.id = id
        self.type = type
        self.metadata = metadata
        self.payloadByteCount = payloadByteCount
        self.payloadDigest = payloadDigest
        self.mapEpoch = mapEpoch
        self.writtenAtMilliseconds = writtenAtMilliseconds
    }
}

/// What became of a record that is durable now.
public enum AppendOutcome: Hashable, Sendable {
    /// It was written.
    case stored
    /// It was there already, with the same payload; the stored copy was checked.
    case alreadyStored
}

/// What is known of a record without its payload.
public struct RecordInfo: Hashable, Sendable {
    public var id: RecordID
    public var type: RecordType
    public var metadata: ByteBuffer
    public var payloadByteCount: UInt64
    public var payloadDigest: SHA256Digest
    public var mapEpoch: MapEpoch
    /// Milliseconds since 1970.
    public var writtenAtMilliseconds: Int64
}
