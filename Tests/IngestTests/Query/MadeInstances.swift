// SPDX-License-Identifier: Apache-2.0

import Checksums
import DICOM
import Ingest
import NIOCore
import Placement
import Testing

extension StoredInstance {
    /// An instance of one series that is in no archive: what queries and retrieval decide by is there.
    static func made(
        _ number: Int = 1,
        sopClass: String = "1.2.840.10008.5.1.4.1.1.2",
        stored: String = TransferSyntax.jpegLSLossless.uid.string
    ) throws -> StoredInstance {
        StoredInstance(
            studyInstanceUID: "1.2",
            seriesInstanceUID: "1.2.1",
            sopInstanceUID: "1.2.1.\(number)",
            sopClassUID: sopClass,
            recordID: try #require(RecordID(high: 0, low: UInt64(number))),
            nodes: [],
            contentDigest: SHA256Hasher.digest(of: ByteBuffer()),
            receivedTransferSyntax: TransferSyntax.explicitVRLittleEndian.uid.string,
            storedTransferSyntax: stored,
            receivedByteCount: 1_000,
            storedByteCount: 500
        )
    }
}
