// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement
import ReplicationProtocol
import SegmentFormat
import SimulatedDisk

/// An instance that clients send: its UIDs and its bytes follow from its number, its version and the seed.
final class Instance {
    let number: Int
    let version: Int
    let studyInstanceUID: String
    let sopInstanceUID: String
    let payload: ByteBuffer
    let digest: SHA256Digest
    let recordID: RecordID

    init(seed: UInt64, number: Int, version: Int, study: Int, byteCount: Int) {
        self.number = number
        self.version = version
        self.studyInstanceUID = "1.2.826.0.1.\(seed % 1000).\(study)"
        self.sopInstanceUID = "\(studyInstanceUID).\(number)"
        var random = SeededGenerator(seed: seed &* 1_000_003 &+ UInt64(number * 16 + version))
        var bytes = ByteBuffer()
        bytes.reserveCapacity(byteCount + 8)
        while bytes.readableBytes < byteCount { bytes.writeInteger(random.next()) }
        self.payload = bytes.getSlice(at: 0, length: byteCount) ?? bytes
        self.digest = SHA256Hasher.digest(of: payload)
        guard
            let id = RecordID(studyInstanceUID: studyInstanceUID, sopInstanceUID: sopInstanceUID, payloadDigest: digest)
        else { preconditionFailure("a SHA-256 always makes an id") }
        self.recordID = id
    }

    /// What the record says of the instance, received at that time.
    func metadata(receivedAtMilliseconds time: Int64) -> InstanceMetadata {
        InstanceMetadata(
            studyInstanceUID: studyInstanceUID,
            seriesInstanceUID: "\(studyInstanceUID).1",
            sopInstanceUID: sopInstanceUID,
            sopClassUID: "1.2.840.10008.5.1.4.1.1.2",
            receivedAtMilliseconds: time,
            receivedTransferSyntax: "1.2.840.10008.1.2.1",
            storedTransferSyntax: "1.2.840.10008.1.2.1",
            receivedByteCount: payload.readableBytes,
            receivedDigest: digest,
            dataSetOffset: 0
        )
    }

    var name: String { "\(number)v\(version)" }
}
