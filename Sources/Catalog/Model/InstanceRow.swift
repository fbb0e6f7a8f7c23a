// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import Placement

/// An instance as the catalog has it, with what it takes to read it back.
public struct InstanceRow: Sendable, Hashable {
    public var studyInstanceUID: String
    public var seriesInstanceUID: String
    public var instance: InstanceAttributes
    /// SHA-256 of the data set as received.
    public var contentDigest: SHA256Digest
    /// SHA-256 of the native pixel data, when it is known.
    public var pixelDigest: SHA256Digest?
    public var receivedTransferSyntax: String
    public var storedTransferSyntax: String
    /// Bytes of the data set as received.
    public var receivedByteCount: Int
    /// Bytes of the payload as stored, one copy.
    public var storedByteCount: Int
    public var recordID: RecordID
    /// The nodes that hold a copy, by id.
    public var nodes: [NodeID]
    /// Milliseconds since 1970.
    public var receivedAtMilliseconds: Int64
    public var callingAETitle: String

    public init(
        studyInstanceUID: String,
        seriesInstanceUID: String,
        instance: InstanceAttributes,
        contentDigest: SHA256Digest,
        pixelDigest: SHA256Digest?,
        receivedTransferSyntax: String,
        storedTransferSyntax: String,
        receivedByteCount: Int,
        storedByteCount: Int,
        recordID: RecordID,
        nodes: [NodeID],
        receivedAtMilliseconds: Int64,
        callingAETitle: String
    ) {
        self.studyInstanceUID = studyInstanceUID
        self.seriesInstanceUID = seriesInstanceUID
        self.instance = instance
        self.contentDigest = contentDigest
        self.pixelDigest = pixelDigest
        self.receivedTransferSyntax = receivedTransferSyntax
        self.storedTransferSyntax = storedTransferSyntax
        self.receivedByteCount = receivedByteCount
        self.storedByteCount = storedByteCount
        self.recordID = recordID
        self.nodes = nodes
        self.receivedAtMilliseconds = receivedAtMilliseconds
        self.callingAETitle = callingAETitle
    }

    /// The instance's SOP Instance UID.
    public var sopInstanceUID: String { instance.sopInstanceUID }
    /// The instance's SOP Class UID.
    public var sopClassUID: String { instance.sopClassUID }
}
