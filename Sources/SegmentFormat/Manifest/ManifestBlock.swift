// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import Placement

/// The unit in which the manifest is written: 4 KiB, appended, synced, and never written again.
///
/// All entries of a block become true together.
public struct ManifestBlock: Hashable, Sendable {
    /// The number of bytes of a block.
    public static let byteCount = SegmentLayout.blockByteCount
    /// The largest number of entries in a block.
    public static let maximumEntryCount = (byteCount - headerByteCount) / ManifestEntry.byteCount
    /// The bytes `VMAN`, read little endian.
    static let magic: UInt32 = 0x4E41_4D56
    static let version: UInt8 = 1
    private static let headerByteCount = 64

    /// 0 for the first block of a manifest, one more for each that was written after it.
    public let sequence: UInt64
    public let cluster: ClusterID
    public let node: NodeID
    public let entries: [ManifestEntry]

    /// A block of at most `maximumEntryCount` entries.
    public init(sequence: UInt64, cluster: ClusterID, node: NodeID, entries: [ManifestEntry]) {
        precondition(entries.count <= Self.maximumEntryCount, "more entries are split over blocks")
        self.sequence = sequence
        self.cluster = cluster
        self.node = node
        self.entries = entries
    }

    /// The block's 4096 bytes.
    public func encoded() -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(Self.byteCount)
        buffer.writeLittle(Self.magic)
        buffer.writeLittle(Self.version)
        buffer.writeZeros(3)
        buffer.writeLittle(UInt32(0))
        buffer.writeLittle(UInt32(entries.count))
        buffer.writeLittle(sequence)
        buffer.writeHalves(high: cluster.high, low: cluster.low)
        buffer.writeHalves(high: node.high, low: node.low)
        buffer.writeZeros(Self.headerByteCount - buffer.readableBytes)
        for entry in entries { entry.encode(into: &buffer) }
        buffer.writeZeros(Self.byteCount - buffer.readableBytes)
        buffer.sealChecksum(at: 8)
        return buffer
    }

    /// Reads a block from the first 4096 readable bytes of `buffer`.
    public init(decoding buffer: ByteBuffer) throws(SegmentFormatError) {
        guard let block = buffer.getSlice(at: buffer.readerIndex, length: Self.byteCount) else {
            throw SegmentFormatError(.truncated, "manifest block is shorter than \(Self.byteCount) bytes")
        }
        var fields = FieldReader(block, of: "manifest block")
        guard try fields.next() == Self.magic else {
            throw SegmentFormatError(.wrongMagic, "manifest block does not begin with VMAN")
        }
        let version: UInt8 = try fields.next()
        try fields.skip(3)
        guard try fields.next() == block.checksum(zeroingFieldAt: 8) else {
            throw SegmentFormatError(.checksumMismatch, "manifest block's CRC32C is wrong")
        }
        guard version == Self.version else {
            throw SegmentFormatError(.unsupportedVersion, "manifest block has version \(version)")
        }
        let count: UInt32 = try fields.next()
        guard count <= UInt32(Self.maximumEntryCount) else {
            throw SegmentFormatError(.limitExceeded, "manifest block has \(count) entries")
        }
        self.sequence = try fields.next()
        let cluster = try fields.nextHalves()
        let node = try fields.nextHalves()
        self.cluster = ClusterID(high: cluster.high, low: cluster.low)
        self.node = NodeID(high: node.high, low: node.low)
        try fields.skip(8)
        var entries: [ManifestEntry] = []
        for _ in 0..<count { entries.append(try ManifestEntry(decoding: &fields)) }
        self.entries = entries
    }
}
