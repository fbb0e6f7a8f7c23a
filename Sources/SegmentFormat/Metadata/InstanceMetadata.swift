// SPDX-License-Identifier: Apache-2.0

public import Checksums

/// What is known of an instance beyond its payload: whence it came, how it was changed, where its frames are.
///
/// Written as a list of fields with tag and length (`docs/formats/segment.md`). Fields of later versions are kept
/// and written again.
public struct InstanceMetadata: Hashable, Sendable {
    /// A field that this version does not know.
    public struct UnknownField: Hashable, Sendable {
        public var tag: UInt16
        public var value: [UInt8]

        public init(tag: UInt16, value: [UInt8]) {
            self.tag = tag
            self.value = value
        }
    }

    public var studyInstanceUID: String
    public var seriesInstanceUID: String
    public var sopInstanceUID: String
    public var sopClassUID: String
    public var callingAETitle: String
    public var calledAETitle: String
    /// Milliseconds since 1970.
    public var receivedAtMilliseconds: Int64
    public var receivedTransferSyntax: String
    public var storedTransferSyntax: String
    /// The number of bytes of the data set as received.
    public var receivedByteCount: Int
    /// The SHA-256 of the data set as received, behind the file meta information that Varve puts in front of it.
    public var receivedDigest: SHA256Digest
    /// The SHA-256 of the native pixel data.
    public var pixelDigest: SHA256Digest?
    /// Which codec was used, or why none was.
    public var codecNote: String
    /// Where the data set begins in the payload.
    public var dataSetOffset: Int
    /// Where the Pixel Data element begins in the payload.
    public var pixelDataOffset: Int?
    /// Where the Pixel Data element ends in the payload.
    public var pixelEndOffset: Int?
    public var frames: [FrameLocation]
    public var restoration: Restoration?
    public var unknownFields: [UnknownField]

    public init(
        studyInstanceUID: String,
        seriesInstanceUID: String,
        sopInstanceUID: String,
        sopClassUID: String,
        callingAETitle: String = "",
        calledAETitle: String = "",
        receivedAtMilliseconds: Int64,
        receivedTransferSyntax: String,
        storedTransferSyntax: String,
        receivedByteCount: Int,
        receivedDigest: SHA256Digest,
        pixelDigest: SHA256Digest? = nil,
        codecNote: String = "",
        dataSetOffset: Int,
        pixelDataOffset: Int? = nil,
        pixelEndOffset: Int? = nil,
        frames: [FrameLocation] = [],
        restoration: Restoration? = nil,
        unknownFields: [UnknownField] = []
    ) {
        self.studyInstanceUID = studyInstanceUID
        self.seriesInstanceUID = seriesInstanceUID
        self.sopInstanceUID = sopInstanceUID
        self.sopClassUID = sopClassUID
        self.callingAETitle = callingAETitle
        self.calledAETitle = calledAETitle
        self.receivedAtMilliseconds = receivedAtMilliseconds
        self.receivedTransferSyntax = receivedTransferSyntax
        self.storedTransferSyntax = storedTransferSyntax
        self.receivedByteCount = receivedByteCount
        self.receivedDigest = receivedDigest
        self.pixelDigest = pixelDigest
        self.codecNote = codecNote
        self.dataSetOffset = dataSetOffset
        self.pixelDataOffset = pixelDataOffset
        self.pixelEndOffset = pixelEndOffset
        self.frames = frames
        self.restoration = restoration
        self.unknownFields = unknownFields
    }
}
