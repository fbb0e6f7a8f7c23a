// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import NIOCore
public import Placement

/// The fixed header that every record begins with, and from which the place of all its parts follows.
///
/// It names its own cluster, segment and offset, so that a misdirected write or a stale block is never taken for the
/// record that belongs there, and the offset of its batch, from which recovery tells a torn write from damage.
public struct RecordHeader: Hashable, Sendable {
    /// The number of bytes of a header.
    public static let byteCount = 160
    /// The bytes `VREC`, read little endian.
    static let magic: UInt32 = 0x4345_5256
    static let version: UInt8 = 1

    public var type: RecordType
    public var cluster: ClusterID
    public var segment: SegmentID
    /// Where in the segment this record begins.
    public var offset: UInt64
    /// Where in the segment the batch begins that this record was written in.
    public var batchOffset: UInt64
    public var id: RecordID
    public var payloadByteCount: UInt64
    public var metadataByteCount: UInt32
    public var metadataChecksum: UInt32
    /// Milliseconds since 1970.
    public var writtenAtMilliseconds: Int64
    public var mapEpoch: MapEpoch
    /// The SHA-256 of the payload.
    public var payloadDigest: SHA256Digest

    public init(
        type: RecordType,
        cluster: ClusterID,
        segment: SegmentID,
        offset: UInt64,
        batchOffset: UInt64,
        id: RecordID,
        payloadByteCount: UInt64,
        metadataByteCount: UInt32,
        metadataChecksum: UInt32,
        writtenAtMilliseconds: Int64,
        mapEpoch: MapEpoch,
        payloadDigest: SHA256Digest
    ) {
        self.type = type
        self.cluster = cluster
        self.segment = segment
        self.offset = offset
        self.batchOffset = batchOffset
        self.id = id
        self.payloadByteCount = payloadByteCount
        self.metadataByteCount = metadataByteCount
        self.metadataChecksum = metadataChecksum
        self.writtenAtMilliseconds = writtenAtMilliseconds
        self.mapEpoch = mapEpoch
        self.payloadDigest = payloadDigest
    }

    /// Where the parts of the record are.
    public var extent: RecordExtent {
        RecordExtent(payloadByteCount: payloadByteCount, metadataByteCount: metadataByteCount)
    }

    /// Appends the header's 160 bytes to `buffer`.
    public func encode(into buffer: inout ByteBuffer) {
        var header = ByteBuffer()
        header.reserveCapacity(Self.byteCount)
        header.writeLittle(Self.magic)
        header.writeLittle(Self.version)
        header.writeLittle(type.rawValue)
        header.writeLittle(UInt16(0))
        header.writeLittle(UInt32(0))
        header.writeLittle(UInt32(Self.byteCount))
        header.writeHalves(high: cluster.high, low: cluster.low)
        header.writeLittle(segment.rawValue)
        header.writeLittle(offset)
        header.writeLittle(batchOffset)
        header.writeHalves(high: id.high, low: id.low)
        header.writeLittle(payloadByteCount)
        header.writeLittle(metadataByteCount)
        header.writeLittle(metadataChecksum)
        header.writeLittle(UInt32(SegmentLayout.checksumBlockShift))
        header.writeLittle(UInt32(0))
        header.writeLittle(writtenAtMilliseconds)
        header.writeLittle(mapEpoch.rawValue)
        header.writeZeros(16)
        header.writeDigest(payloadDigest)
        header.sealChecksum(at: 8)
        buffer.writeBuffer(&header)
    }

    /// Reads a header from the first 160 readable bytes of `buffer`.
    ///
    /// Checks magic, CRC32C, version and limits; whether it stands where it says is `requirePlace`'s to check.
    public init(decoding buffer: ByteBuffer) throws(SegmentFormatError) {
        guard let block = buffer.getSlice(at: buffer.readerIndex, length: Self.byteCount) else {
            throw SegmentFormatError(.truncated, "record header is shorter than \(Self.byteCount) bytes")
        }
        var fields = FieldReader(block, of: "record header")
        guard try fields.next() == Self.magic else {
            throw SegmentFormatError(.wrongMagic, "record header does not begin with VREC")
        }
        let version: UInt8 = try fields.next()
        let type: UInt8 = try fields.next()
        try fields.skip(2)
        guard try fields.next() == block.checksum(zeroingFieldAt: 8) else {
            throw SegmentFormatError(.checksumMismatch, "record header's CRC32C is wrong")
        }
        guard version == Self.version, try fields.next() == UInt32(Self.byteCount) else {
            throw SegmentFormatError(.unsupportedVersion, "record header has version \(version)")
        }
        let cluster = try fields.nextHalves()
        self.type = RecordType(rawValue: type)
        self.cluster = ClusterID(high: cluster.high, low: cluster.low)
        self.segment = SegmentID(rawValue: try fields.next())
        self.offset = try fields.next()
        self.batchOffset = try fields.next()
        self.id = try fields.nextRecordID()
        self.payloadByteCount = try fields.next()
        self.metadataByteCount = try fields.next()
        self.metadataChecksum = try fields.next()
        guard try fields.next() == UInt32(SegmentLayout.checksumBlockShift) else {
            throw SegmentFormatError(.malformed, "record header has another checksum block size")
        }
        try fields.skip(4)
        self.writtenAtMilliseconds = try fields.next()
        self.mapEpoch = MapEpoch(rawValue: try fields.next())
        try fields.skip(16)
        self.payloadDigest = try fields.nextDigest()
        guard payloadByteCount <= SegmentLayout.maximumPayloadByteCount,
            metadataByteCount <= SegmentLayout.maximumMetadataByteCount
        else { throw SegmentFormatError(.limitExceeded, "record header gives a length over its limit") }
        guard batchOffset <= offset else {
            throw SegmentFormatError(.malformed, "record header gives a batch that begins after it")
        }
    }

    /// Fails unless this is the header of a record of `cluster` at `offset` of `segment`.
    public func requirePlace(
        cluster: ClusterID,
        segment: SegmentID,
        offset: UInt64
    ) throws(SegmentFormatError) {
        guard self.cluster == cluster else {
            throw SegmentFormatError(.foreign, "record belongs to another cluster")
        }
        guard self.segment == segment, self.offset == offset else {
            throw SegmentFormatError(.misplaced, "record belongs to segment \(self.segment), offset \(self.offset)")
        }
    }
}
