// SPDX-License-Identifier: Apache-2.0

import Checksums
import SegmentFormat

/// Metadata with every field.
enum RecordSamples {
    private static let digest = SHA256Digest(words: (1, 2, 3, 4))

    static var metadata: InstanceMetadata {
        InstanceMetadata(
            studyInstanceUID: "1.2",
            seriesInstanceUID: "1.3",
            sopInstanceUID: "1.4",
            sopClassUID: "1.5",
            callingAETitle: "A",
            calledAETitle: "B",
            receivedAtMilliseconds: 1_700_000_000_000,
            receivedTransferSyntax: "1.2.840.10008.1.2",
            storedTransferSyntax: "1.2.840.10008.1.2.4.80",
            receivedByteCount: 1_000,
            receivedDigest: self.digest,
            pixelDigest: self.digest,
            codecNote: "n",
            dataSetOffset: 300,
            pixelDataOffset: 500,
            pixelEndOffset: 900,
            frames: [FrameLocation(offset: 520, byteCount: 100)],
            restoration: Restoration(
                pixelVR: 0x4F57,
                pixelByteCount: 512,
                pixelLengthIsUndefined: false,
                trailingBytes: [1],
                patches: [RestorationPatch(offset: 8, original: [1, 2])]
            ),
            unknownFields: [InstanceMetadata.UnknownField(tag: 900, value: [1, 2, 3])]
        )
    }
}
