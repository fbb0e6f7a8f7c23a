// SPDX-License-Identifier: Apache-2.0

import Checksums
public import NIOCore

/// The end of a record: it covers the table of block checksums and says how long the record is.
public struct RecordTrailer: Hashable, Sendable {
    /// The number of bytes of a trailer.
    public static let byteCount = 16
    /// The bytes `VEND`, read little endian.
    static let magic: UInt32 = 0x444E_4556

    /// Appends the table of `blockChecksums` and the trailer of a record with `extent` to `buffer`.
    public static func encode(
        blockChecksums: [UInt32],
        extent: RecordExtent,
        into buffer: inout ByteBuffer
    ) {
        precondition(UInt64(blockChecksums.count) * 4 == extent.tableByteCount, "one checksum a block")
        var end = ByteBuffer()
        end.reserveCapacity(blockChecksums.count * 4 + Self.byteCount)
        for checksum in blockChecksums { end.writeLittle(checksum) }
        let table = end
        end.writeLittle(Self.magic)
        end.writeLittle(self.checksum(table: table, recordByteCount: extent.byteCount))
        end.writeLittle(extent.byteCount)
        buffer.writeBuffer(&end)
    }

    /// Reads table and trailer of a record with `extent` from the front of `buffer` and returns the block checksums.
    public static func decode(_ buffer: ByteBuffer, extent: RecordExtent) throws(SegmentFormatError) -> [UInt32] {
        guard let tableByteCount = Int(exactly: extent.tableByteCount) else {
            throw SegmentFormatError(.limitExceeded, "record's checksum table does not fit in memory")
        }
        var fields = FieldReader(buffer, of: "record trailer")
        let table = try fields.nextBytes(tableByteCount)
        guard try fields.next() == Self.magic else {
            throw SegmentFormatError(.wrongMagic, "record trailer does not begin with VEND")
        }
        let stored: UInt32 = try fields.next()
        let byteCount: UInt64 = try fields.next()
        guard byteCount == extent.byteCount else {
            throw SegmentFormatError(.malformed, "record trailer and header disagree about the record's length")
        }
        guard stored == self.checksum(table: table, recordByteCount: byteCount) else {
            throw SegmentFormatError(.checksumMismatch, "checksum table's CRC32C is wrong")
        }
        var entries = FieldReader(table, of: "checksum table")
        var checksums: [UInt32] = []
        checksums.reserveCapacity(tableByteCount / 4)
        for _ in 0..<(tableByteCount / 4) { checksums.append(try entries.next()) }
        return checksums
    }

    private static func checksum(table: ByteBuffer, recordByteCount: UInt64) -> UInt32 {
        var covered = table
        covered.writeLittle(recordByteCount)
        return CRC32C.checksum(of: covered)
    }
}
