// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import Placement

/// An instance that is durable on its nodes and is to be entered into the catalog.
public struct InstanceEntry: Sendable, Hashable {
    public var patient: PatientAttributes
    public var study: StudyAttributes
    public var series: SeriesAttributes
    public var instance: InstanceAttributes
    /// SHA-256 of the data set as received: the same content is the same instance, other content a conflict.
    public var contentDigest: SHA256Digest
    /// SHA-256 of the native pixel data; `nil` when there is none or it was not decoded.
    public var pixelDigest: SHA256Digest?
    /// UID of the transfer syntax it arrived in.
    public var receivedTransferSyntax: String
    /// UID of the transfer syntax it is stored in.
    public var storedTransferSyntax: String
    /// Bytes of the data set as received.
    public var receivedByteCount: Int
    /// Bytes of the payload as stored, one copy.
    public var storedByteCount: Int
    public var recordID: RecordID
    /// The nodes that hold a durable copy; their order does not matter.
    ///
    /// Each must be registered.
    public var nodes: [NodeID]
    /// Milliseconds since 1970.
    public var receivedAtMilliseconds: Int64
    /// The AE title that sent it; empty when it came otherwise.
    public var callingAETitle: String

    public init(
        patient: PatientAttributes,
        study: StudyAttributes,
        series: SeriesAttributes,
        instance: InstanceAttributes,
        contentDigest: SHA256Digest,
        pixelDigest: SHA256Digest? = nil,
        receivedTransferSyntax: String,
        storedTransferSyntax: String,
        receivedByteCount: Int,
        storedByteCount: Int,
        recordID: RecordID,
        nodes: [NodeID],
        receivedAtMilliseconds: Int64,
        callingAETitle: String = ""
    ) {
        self.patient = patient
        self.study = study
        self.series = series
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
}

/// The catalog's answer to an entry.
public enum CommitOutcome: Sendable, Hashable {
    /// The instance is in the catalog, as this record: entered now, or by an earlier attempt with the same record.
    case committed
    /// The same instance with the same content is there already, as another record.
    case duplicate(existing: InstanceRow)
    /// The SOP Instance UID is taken: by other content, or in another series or study. Nothing was changed.
    case conflict(existing: InstanceRow)
    /// The instance was deleted, and is in the trash until somebody takes it back. Nothing was changed.
    case deleted
}
