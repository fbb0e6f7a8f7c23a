// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import Placement

/// What a segment holds.
public enum SegmentClass: UInt8, Sendable {
    /// Records of all groups, one batch after another.
    case shared = 1
    /// One large record, written while its bytes arrive.
    case large = 2
    /// Records that were copied from another segment, written as a whole and sealed at once.
    case compacted = 3
}

/// The first 4 KiB of a segment file.
public struct SegmentHeader: Hashable, Sendable {
    /// The number of bytes that a header takes, padding included; the first record begins there.
    public static let byteCount = SegmentLayout.blockByteCount
    /// The bytes `VSEG`, read little endian.
    static let magic: UInt32 = 0x4745_5356
    static let version: UInt8 = 1

    public let segment: SegmentID
    public let segmentClass: SegmentClass
    public let cluster: ClusterID
    public let node: NodeID
    /// Milliseconds since 1970.
    public let createdAtMilliseconds: Int64

    public init(
        segment: SegmentID,
        segmentClass: SegmentClass,
        cluster: ClusterID,
        node: NodeID,
        createdAtMilliseconds: Int64
    ) {
        self.segment = segment
        self.segmentClass = segmentClass
        self.cluster = cluster
        self.node = node
        self.createdAtMilliseconds = createdAtMilliseconds
    }

    /// The header's 4096 bytes.
    public func encoded() -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(Self.byteCount)
        buffer.writeLittle(Self.magic)
        buffer.writeLittle(Self.version)
        buffer.writeLittle(segmentClass.rawValue)
        buffer.writeLittle(UInt16(0))
        buffer.writeLittle(UInt32(0))
        buffer.writeLittle(UInt32(Self.byteCount))
        buffer.writeHalves(high: cluster.high, low: cluster.low)
        buffer.writeHalves(high: node.high, low: node.low)
        buffer.writeLittle(segment.rawValue)
        buffer.writeLittle(createdAtMilliseconds)
        buffer.writeLittle(UInt32(SegmentLayout.recordAlignment))
        buffer.writeLittle(UInt32(SegmentLayout.checksumBlockShift))
        buffer.writeZeros(Self.byteCount - buffer.readableBytes)
        buffer.sealChecksum(at: 8)
        return buffer
    }

    /// Reads a header from the first 4096 readable bytes of `buffer`.
    public init(decoding buffer: ByteBuffer) throws(SegmentFormatError) {
        guard let block = buffer.getSlice(at: buffer.readerIndex, length: Self.byteCount) else {
            throw SegmentFormatError(.truncated, "segment header is shorter than \(Self.byteCount) bytes")
        }
        var fields = FieldReader(block, of: "segment header")
        guard try fields.next() == Self.magic else {
            throw SegmentFormatError(.wrongMagic, "segment header does not begin with VSEG")
        }
        let version: UInt8 = try fields.next()
        let rawClass: UInt8 = try fields.next()
        try fields.skip(2)
        guard try fields.next() == block.checksum(zeroingFieldAt: 8) else {
            throw SegmentFormatError(.checksumMismatch, "segment header's CRC32C is wrong")
        }
        guard version == Self.version else {
            throw SegmentFormatError(.unsupportedVersion, "segment header has version \(version)")
        }
        guard let segmentClass = SegmentClass(rawValue: rawClass) else {
            throw SegmentFormatError(.malformed, "segment header has class \(rawClass)")
        }
        guard try fields.next() == UInt32(Self.byteCount) else {
            throw SegmentFormatError(.malformed, "segment header has another length")
        }
        let cluster = try fields.nextHalves()
        let node = try fields.nextHalves()
        let segment: UInt64 = try fields.next()
        let created: Int64 = try fields.next()
        guard try fields.next() == UInt32(SegmentLayout.recordAlignment),
            try fields.next() == UInt32(SegmentLayout.checksumBlockShift)
        else { throw SegmentFormatError(.malformed, "segment header has another alignment or block size") }
        self.init(
            segment: SegmentID(rawValue: segment),
            segmentClass: segmentClass,
            cluster: ClusterID(high: cluster.high, low: cluster.low),
            node: NodeID(high: node.high, low: node.low),
            createdAtMilliseconds: created
        )
    }
}
