// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore

/// The file meta information in front of every data set that Varve stores or delivers.
///
/// Nothing but the UIDs of the instance and its transfer syntax goes into it, so that one SHA-256 over the Part 10
/// stream identifies what was received (docs/decisions/0009-one-digest-of-what-was-received.md). Who sent the instance
/// is in the record's metadata.
enum StoredFileMeta {
    /// Preamble, prefix and group 0002.
    static func bytes(
        sopClassUID: String,
        sopInstanceUID: String,
        transferSyntax: TransferSyntax
    ) throws(DICOMError) -> ByteBuffer {
        try Part10.write(
            FileMeta(
                sopClassUID: try UID(lenient: sopClassUID),
                sopInstanceUID: try UID(lenient: sopInstanceUID),
                transferSyntax: transferSyntax
            )
        )
    }
}
