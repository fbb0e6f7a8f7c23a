// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement
import ReplicationProtocol
import SegmentFormat

/// SHA-256 of the data set as received, and of its native pixel data.
struct InstanceDigests: Sendable {
    let received: SHA256Digest
    let pixels: SHA256Digest?
}

/// An instance in the form in which it is stored: the record's metadata, and its payload unless that lies in a file.
struct StoredForm: Sendable {
    let recordID: RecordID
    let metadata: InstanceMetadata
    /// A complete Part 10 stream; empty when it lies in a spool file.
    let payload: ByteBuffer
    let payloadByteCount: Int
    let payloadDigest: SHA256Digest

    /// Digests the payload and makes the record's id.
    init(payload: ByteBuffer, metadata: InstanceMetadata) throws(StoreFailure) {
        self.payload = payload
        self.payloadByteCount = payload.readableBytes
        self.metadata = metadata
        self.payloadDigest = SHA256Hasher.digest(of: payload)
        self.recordID = try Self.recordID(metadata: metadata, payloadDigest: payloadDigest)
    }

    /// The form of a payload that lies elsewhere and whose digest is known.
    init(
        payloadByteCount: Int,
        payloadDigest: SHA256Digest,
        metadata: InstanceMetadata
    ) throws(StoreFailure) {
        self.payload = ByteBuffer()
        self.payloadByteCount = payloadByteCount
        self.metadata = metadata
        self.payloadDigest = payloadDigest
        self.recordID = try Self.recordID(metadata: metadata, payloadDigest: payloadDigest)
    }

    /// The identity that docs/decisions/0001-record-identity.md defines.
    private static func recordID(
        metadata: InstanceMetadata,
        payloadDigest: SHA256Digest
    ) throws(StoreFailure) -> RecordID {
        var identity = SHA256Hasher()
        identity.update(Array(metadata.sopInstanceUID.utf8))
        identity.update([0])
        identity.update(payloadDigest.bytes)
        let group = PlacementGroup(studyInstanceUID: metadata.studyInstanceUID)
        guard let id = RecordID(group: group, digest: identity.digest().bytes) else {
            throw StoreFailure(.processing, "no record id could be made")
        }
        return id
    }

    func putRequest(mapEpoch: MapEpoch) -> PutRequest {
        PutRequest(
            recordID: recordID,
            recordType: RecordType.instance.rawValue,
            metadata: metadata.encode(),
            payloadByteCount: UInt64(payloadByteCount),
            payloadDigest: payloadDigest,
            mapEpoch: mapEpoch
        )
    }
}
