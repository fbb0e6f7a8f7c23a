// SPDX-License-Identifier: Apache-2.0

package import Checksums
package import NIOCore
package import Placement
import ReplicationProtocol
package import SegmentFormat

/// SHA-256 of the data set as received, and of its native pixel data.
package struct InstanceDigests: Sendable {
    package let received: SHA256Digest
    package let pixels: SHA256Digest?

    package init(received: SHA256Digest, pixels: SHA256Digest?) {
        self.received = received
        self.pixels = pixels
    }
}

/// An instance in the form in which it is stored: the record's metadata, and its payload unless that lies in a file.
package struct StoredForm: Sendable {
    package let recordID: RecordID
    package let metadata: InstanceMetadata
    /// A complete Part 10 stream, in order; empty when it lies in a spool file.
    package let pieces: [ByteBuffer]
    let payloadByteCount: Int
    package let payloadDigest: SHA256Digest

    /// Digests the payload and makes the record's id.
    init(payload: ByteBuffer, metadata: InstanceMetadata) throws(StoreFailure) {
        try self.init(pieces: [payload], payloadDigest: SHA256Hasher.digest(of: payload), metadata: metadata)
    }

    /// The form of a payload in memory whose digest is known.
    init(pieces: [ByteBuffer], payloadDigest: SHA256Digest, metadata: InstanceMetadata) throws(StoreFailure) {
        self.pieces = pieces
        self.payloadByteCount = pieces.reduce(0) { $0 + $1.readableBytes }
        self.metadata = metadata
        self.payloadDigest = payloadDigest
        self.recordID = try Self.recordID(metadata: metadata, payloadDigest: payloadDigest)
    }

    /// The form of a payload that lies elsewhere and whose digest is known.
    init(
        payloadByteCount: Int,
        payloadDigest: SHA256Digest,
        metadata: InstanceMetadata
    ) throws(StoreFailure) {
        self.pieces = []
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
        guard
            let id = RecordID(
                studyInstanceUID: metadata.studyInstanceUID,
                sopInstanceUID: metadata.sopInstanceUID,
                payloadDigest: payloadDigest
            )
        else {
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
