// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import NIOCore
public import Placement
public import SegmentFormat

/// A tombstone, a hold or another fact to be stored about a record.
public struct NewAmendment: Sendable {
    public var amendment: Amendment
    /// At most `Amendment.maximumPayloadByteCount` bytes, not looked at: a reason, or what the kind calls for.
    public var payload: ByteBuffer
    public var mapEpoch: MapEpoch
    /// Milliseconds since 1970.
    public var writtenAtMilliseconds: Int64

    public init(
        amendment: Amendment,
        payload: ByteBuffer = ByteBuffer(),
        mapEpoch: MapEpoch,
        writtenAtMilliseconds: Int64
    ) {
        self.amendment = amendment
        self.payload = payload
        self.mapEpoch = mapEpoch
        self.writtenAtMilliseconds = writtenAtMilliseconds
    }
}

/// A tombstone or amendment as it is stored.
public struct StoredAmendment: Hashable, Sendable {
    public var amendment: Amendment
    public var payload: ByteBuffer
    /// The SHA-256 of the payload.
    public var payloadDigest: SHA256Digest
    public var mapEpoch: MapEpoch
    /// Milliseconds since 1970.
    public var writtenAtMilliseconds: Int64
}
