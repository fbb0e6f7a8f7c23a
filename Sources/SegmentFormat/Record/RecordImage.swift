// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import NIOCore
public import Placement

/// A record whose checksums are computed and that only needs to be told its place to become bytes.
///
/// The costly part (the block checksums) is done by whoever makes the image; `parts` is cheap.
public struct RecordImage: Sendable {
    public let id: RecordID
    public let type: RecordType
    public let payloadDigest: SHA256Digest
    public let extent: RecordExtent
    private let mapEpoch: MapEpoch
    private let writtenAtMilliseconds: Int64
    private let metadata: ByteBuffer
    private let payload: ByteBuffer
    private let metadataChecksum: UInt32
    private let blockChecksums: [UInt32]

    /// Computes the checksums of a record; fails when one of its parts is over its limit.
    public init(
        id: RecordID,
        type: RecordType,
        metadata: ByteBuffer,
        payload: ByteBuffer,
        payloadDigest: SHA256Digest,
        mapEpoch: MapEpoch,
        writtenAtMilliseconds: Int64
    ) throws(SegmentFormatError) {
        guard let metadataByteCount = UInt32(exactly: metadata.readableBytes),
            metadataByteCount <= SegmentLayout.maximumMetadataByteCount,
            UInt64(payload.readableBytes) <= SegmentLayout.maximumPayloadByteCount
        else { throw SegmentFormatError(.limitExceeded, "record's metadata or payload is over its limit") }
        self.id = id
        self.type = type
        self.payloadDigest = payloadDigest
        self.extent = RecordExtent(
            payloadByteCount: UInt64(payload.readableBytes),
            metadataByteCount: metadataByteCount
        )
        self.mapEpoch = mapEpoch
        self.writtenAtMilliseconds = writtenAtMilliseconds
        self.metadata = metadata
        self.payload = payload
        self.metadataChecksum = CRC32C.checksum(of: metadata)
        self.blockChecksums = BlockChecksums.table(of: payload)
    }

    /// The record that fills `byteCount` bytes, a multiple of the record alignment below 4 KiB.
    public static func padding(
        byteCount: Int,
        writtenAtMilliseconds: Int64
    ) throws(SegmentFormatError) -> RecordImage {
        let overhead = RecordHeader.byteCount + 4 + RecordTrailer.byteCount
        guard byteCount >= SegmentLayout.recordAlignment, byteCount < SegmentLayout.blockByteCount,
            byteCount % SegmentLayout.recordAlignment == 0, let id = RecordID(high: 0, low: 0)
        else { throw SegmentFormatError(.malformed, "\(byteCount) bytes cannot be filled by a padding record") }
        return try RecordImage(
            id: id,
            type: .padding,
            metadata: ByteBuffer(),
            payload: ByteBuffer(repeating: 0, count: byteCount - overhead),
            payloadDigest: SHA256Digest(words: (0, 0, 0, 0)),
            mapEpoch: MapEpoch(rawValue: 0),
            writtenAtMilliseconds: writtenAtMilliseconds
        )
    }

    /// The bytes of the record at `offset`, in order: header and metadata, payload, the rest up to the alignment.
    public func parts(
        cluster: ClusterID,
        segment: SegmentID,
        offset: UInt64,
        batchOffset: UInt64
    ) -> (head: ByteBuffer, payload: ByteBuffer, tail: ByteBuffer) {
        let header = RecordHeader(
            type: type,
            cluster: cluster,
            segment: segment,
            offset: offset,
            batchOffset: batchOffset,
            id: id,
            payloadByteCount: extent.payloadByteCount,
            metadataByteCount: extent.metadataByteCount,
            metadataChecksum: metadataChecksum,
            writtenAtMilliseconds: writtenAtMilliseconds,
            mapEpoch: mapEpoch,
            payloadDigest: payloadDigest
        )
        var head = ByteBuffer()
        head.reserveCapacity(Int(extent.payloadOffset))
        header.encode(into: &head)
        head.writeImmutableBuffer(metadata)
        var tail = ByteBuffer()
        let padding = Int(extent.paddedByteCount - extent.byteCount)
        tail.reserveCapacity(Int(extent.byteCount - extent.tableOffset) + padding)
        RecordTrailer.encode(blockChecksums: blockChecksums, extent: extent, into: &tail)
        tail.writeZeros(padding)
        return (head, payload, tail)
    }
}
