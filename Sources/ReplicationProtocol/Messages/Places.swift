// SPDX-License-Identifier: Apache-2.0

public import Placement

/// PLACES: where records are on the node's disks, for a peer on the same host that has their files open.
public struct PlacesRequest: Hashable, Sendable {
    /// The most records of one request.
    public static let maximumCount = 1024

    /// At least one, and at most ``maximumCount``.
    public var recordIDs: [RecordID]
    public var timeoutMilliseconds: UInt32

    public init(recordIDs: [RecordID], timeoutMilliseconds: UInt32) {
        self.recordIDs = recordIDs
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// Where a record is: a segment file of a node, and its extent there (docs/formats/segment.md).
///
/// True when it was said. The record may be moved or deleted afterwards; what was at that place stays there for as long as the
/// file exists, and says itself which record it is.
public struct FilePlace: Hashable, Sendable {
    /// Bytes of one place in a message.
    static let byteCount = 32

    /// The node's number of the disk, from 1 on.
    public var disk: UInt16
    public var segment: UInt64
    /// Where its header begins in the file.
    public var offset: UInt64
    public var payloadByteCount: UInt64
    public var metadataByteCount: UInt32
    public var recordType: UInt8

    public init(
        disk: UInt16,
        segment: UInt64,
        offset: UInt64,
        payloadByteCount: UInt64,
        metadataByteCount: UInt32,
        recordType: UInt8
    ) {
        self.disk = disk
        self.segment = segment
        self.offset = offset
        self.payloadByteCount = payloadByteCount
        self.metadataByteCount = metadataByteCount
        self.recordType = recordType
    }
}
