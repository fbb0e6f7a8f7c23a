// SPDX-License-Identifier: Apache-2.0

import Checksums
public import NIOCore
public import Placement

/// A record as a segment's footer lists it.
public struct FooterEntry: Hashable, Sendable {
    /// The number of bytes of an entry.
    public static let byteCount = 40

    public let id: RecordID
    public let type: RecordType
    public let offset: UInt64
    public let extent: RecordExtent

    public init(id: RecordID, type: RecordType, offset: UInt64, extent: RecordExtent) {
        self.id = id
        self.type = type
        self.offset = offset
        self.extent = extent
    }
}

/// What a cleanly sealed segment ends with: one block, the list of its records, and the same block once more.
///
/// Read from either end: a scan meets the first block after the last record, and whoever has nothing but the file
/// reads its last 4 KiB.
public struct SegmentFooter: Hashable, Sendable {
    /// The bytes `VFTR`, read little endian.
    static let magic: UInt32 = 0x5254_4656
    static let version: UInt8 = 1
    /// The number of bytes of each of the two blocks.
    public static let blockByteCount = SegmentLayout.blockByteCount

    public let cluster: ClusterID
    public let segment: SegmentID
    /// Where the footer begins: the end of the last batch.
    public let offset: UInt64
    public let entryCount: UInt32
    let tableChecksum: UInt32

    /// The number of bytes of the entries, padded to 4 KiB.
    public var tableByteCount: Int {
        let mask = SegmentLayout.blockByteCount - 1
        return (Int(entryCount) * FooterEntry.byteCount + mask) & ~mask
    }

    /// The number of bytes of the whole footer.
    public var byteCount: Int { 2 * Self.blockByteCount + tableByteCount }

    /// Where the list of records begins.
    public var tableOffset: UInt64 { offset + UInt64(Self.blockByteCount) }

    /// The whole footer of a segment whose last batch ends at `offset`.
    public static func encoded(
        cluster: ClusterID,
        segment: SegmentID,
        offset: UInt64,
        entries: [FooterEntry]
    ) throws(SegmentFormatError) -> ByteBuffer {
        guard let count = UInt32(exactly: entries.count), count <= SegmentLayout.maximumFooterEntryCount else {
            throw SegmentFormatError(.limitExceeded, "segment has more records than a footer lists")
        }
        var table = ByteBuffer()
        for entry in entries {
            table.writeHalves(high: entry.id.high, low: entry.id.low)
            table.writeLittle(entry.offset)
            table.writeLittle(entry.extent.payloadByteCount)
            table.writeLittle(entry.extent.metadataByteCount)
            table.writeLittle(entry.type.rawValue)
            table.writeZeros(3)
        }
        let footer = SegmentFooter(
            cluster: cluster,
            segment: segment,
            offset: offset,
            entryCount: count,
            tableChecksum: CRC32C.checksum(of: table)
        )
        table.writeZeros(footer.tableByteCount - table.readableBytes)
        let block = footer.encodedBlock()
        var buffer = block
        buffer.reserveCapacity(footer.byteCount)
        buffer.writeImmutableBuffer(table)
        buffer.writeImmutableBuffer(block)
        return buffer
    }

    private func encodedBlock() -> ByteBuffer {
        var buffer = ByteBuffer()
        buffer.reserveCapacity(Self.blockByteCount)
        buffer.writeLittle(Self.magic)
        buffer.writeLittle(Self.version)
        buffer.writeZeros(3)
        buffer.writeLittle(UInt32(0))
        buffer.writeLittle(entryCount)
        buffer.writeHalves(high: cluster.high, low: cluster.low)
        buffer.writeLittle(segment.rawValue)
        buffer.writeLittle(offset)
        buffer.writeLittle(UInt64(byteCount))
        buffer.writeLittle(tableChecksum)
        buffer.writeZeros(Self.blockByteCount - buffer.readableBytes)
        buffer.sealChecksum(at: 8)
        return buffer
    }

    /// Reads one of a footer's two blocks from the front of `buffer`.
    public init(decodingBlock buffer: ByteBuffer) throws(SegmentFormatError) {
        guard let block = buffer.getSlice(at: buffer.readerIndex, length: Self.blockByteCount) else {
            throw SegmentFormatError(.truncated, "footer block is shorter than \(Self.blockByteCount) bytes")
        }
        var fields = FieldReader(block, of: "footer")
        guard try fields.next() == Self.magic else {
            throw SegmentFormatError(.wrongMagic, "footer does not begin with VFTR")
        }
        let version: UInt8 = try fields.next()
        try fields.skip(3)
        guard try fields.next() == block.checksum(zeroingFieldAt: 8) else {
            throw SegmentFormatError(.checksumMismatch, "footer's CRC32C is wrong")
        }
        guard version == Self.version else {
            throw SegmentFormatError(.unsupportedVersion, "footer has version \(version)")
        }
        let count: UInt32 = try fields.next()
        guard count <= SegmentLayout.maximumFooterEntryCount else {
            throw SegmentFormatError(.limitExceeded, "footer lists \(count) records")
        }
        let cluster = try fields.nextHalves()
        let segment: UInt64 = try fields.next()
        let offset: UInt64 = try fields.next()
        let byteCount: UInt64 = try fields.next()
        self.init(
            cluster: ClusterID(high: cluster.high, low: cluster.low),
            segment: SegmentID(rawValue: segment),
            offset: offset,
            entryCount: count,
            tableChecksum: try fields.next()
        )
        guard byteCount == UInt64(self.byteCount), offset % UInt64(SegmentLayout.blockByteCount) == 0,
            offset <= UInt64.max - byteCount
        else { throw SegmentFormatError(.malformed, "footer's lengths contradict each other") }
    }

    /// Reads the list of records from the front of `buffer`.
    public func entries(decoding buffer: ByteBuffer) throws(SegmentFormatError) -> [FooterEntry] {
        var fields = FieldReader(buffer, of: "footer table")
        let table = try fields.nextBytes(Int(entryCount) * FooterEntry.byteCount)
        guard CRC32C.checksum(of: table) == tableChecksum else {
            throw SegmentFormatError(.checksumMismatch, "footer table's CRC32C is wrong")
        }
        fields = FieldReader(table, of: "footer table")
        var entries: [FooterEntry] = []
        entries.reserveCapacity(Int(entryCount))
        for _ in 0..<entryCount {
            let id = try fields.nextRecordID()
            let recordOffset: UInt64 = try fields.next()
            let payloadByteCount: UInt64 = try fields.next()
            let metadataByteCount: UInt32 = try fields.next()
            let type: UInt8 = try fields.next()
            try fields.skip(3)
            guard payloadByteCount <= SegmentLayout.maximumPayloadByteCount,
                metadataByteCount <= SegmentLayout.maximumMetadataByteCount, recordOffset < offset
            else { throw SegmentFormatError(.limitExceeded, "footer table gives a length over its limit") }
            entries.append(
                FooterEntry(
                    id: id,
                    type: RecordType(rawValue: type),
                    offset: recordOffset,
                    extent: RecordExtent(payloadByteCount: payloadByteCount, metadataByteCount: metadataByteCount)
                )
            )
        }
        return entries
    }

    private init(cluster: ClusterID, segment: SegmentID, offset: UInt64, entryCount: UInt32, tableChecksum: UInt32) {
        self.cluster = cluster
        self.segment = segment
        self.offset = offset
        self.entryCount = entryCount
        self.tableChecksum = tableChecksum
    }
}
