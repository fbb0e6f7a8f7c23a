// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// One file in a ZIP (APPNOTE 6.3.10), stored and not compressed: the bytes around its content.
///
/// All of them follow from these few fields, so that a reader can make them anew and compare.
package struct ZipEntry: Hashable, Sendable {
    /// The path, of ASCII.
    package var name: String
    /// Where its local header begins.
    package var offset: UInt64
    package var byteCount: UInt64
    package var crc32: UInt32
    /// Whether the CRC follows the content: it is not known before.
    package var hasDescriptor: Bool

    /// From this on a number is in a Zip64 field instead.
    static let limit = UInt64(UInt32.max)
    private static let headerByteCount: UInt64 = 30
    private static let zip64ByteCount: UInt64 = 20
    /// 2.0 for what is plain, 4.5 for Zip64.
    private static let plainVersion: UInt16 = 20
    static let zip64Version: UInt16 = 45
    /// 1 January 1980, the first day there is: equal contents give equal packs.
    private static let time: UInt16 = 0
    private static let date: UInt16 = 0x21
    /// Bit 3: CRC and lengths are behind the content.
    private static let descriptorFlag: UInt16 = 1 << 3

    package init(name: String, offset: UInt64, byteCount: UInt64, crc32: UInt32, hasDescriptor: Bool) {
        self.name = name
        self.offset = offset
        self.byteCount = byteCount
        self.crc32 = crc32
        self.hasDescriptor = hasDescriptor
    }

    private var isLarge: Bool { byteCount >= Self.limit }
    private var flags: UInt16 { hasDescriptor ? Self.descriptorFlag : 0 }

    /// Where its content begins.
    package var contentOffset: UInt64 {
        offset + Self.headerByteCount + UInt64(name.utf8.count) + (isLarge ? Self.zip64ByteCount : 0)
    }

    /// Where the next entry begins.
    package var endOffset: UInt64 { contentOffset + byteCount + (hasDescriptor ? (isLarge ? 24 : 16) : 0) }

    /// What goes before the content (APPNOTE 4.3.7).
    package func localHeader() -> ByteBuffer {
        var buffer = ByteBuffer()
        let version = isLarge ? Self.zip64Version : Self.plainVersion
        buffer.writeZip(0x0403_4B50 as UInt32, version, flags, 0 as UInt16, Self.time, Self.date)
        // APPNOTE 4.4.4: with a descriptor CRC and lengths are zero here; 4.3.9.2: a Zip64 field makes the lengths in it
        // eight bytes wide.
        let plain = hasDescriptor ? 0 : UInt32(clamping: byteCount)
        let length = isLarge ? UInt32.max : plain
        buffer.writeZip(hasDescriptor ? 0 : crc32, length, length)
        buffer.writeZip(UInt16(name.utf8.count), isLarge ? UInt16(Self.zip64ByteCount) : 0)
        buffer.writeString(name)
        if isLarge {
            let length = hasDescriptor ? 0 : byteCount
            buffer.writeZip(1 as UInt16, 16 as UInt16, length, length)
        }
        return buffer
    }

    /// What goes behind the content (APPNOTE 4.3.9): nothing without a descriptor.
    package func descriptor() -> ByteBuffer {
        var buffer = ByteBuffer()
        guard hasDescriptor else { return buffer }
        buffer.writeZip(0x0807_4B50 as UInt32, crc32)
        if isLarge {
            buffer.writeZip(byteCount, byteCount)
        } else {
            buffer.writeZip(UInt32(byteCount), UInt32(byteCount))
        }
        return buffer
    }

    /// What the central directory says of it (APPNOTE 4.3.12).
    func writeDirectoryEntry(into buffer: inout ByteBuffer) {
        var extra = ByteBuffer()
        if isLarge { extra.writeZip(byteCount, byteCount) }
        if offset >= Self.limit { extra.writeZip(offset) }
        let needsZip64 = extra.readableBytes > 0
        let version = needsZip64 ? Self.zip64Version : Self.plainVersion
        buffer.writeZip(0x0201_4B50 as UInt32, version, version, flags, 0 as UInt16, Self.time, Self.date, crc32)
        let length = Self.field(byteCount)
        buffer.writeZip(length, length, UInt16(name.utf8.count), UInt16(needsZip64 ? 4 + extra.readableBytes : 0))
        // Comment, disk, internal and external attributes.
        buffer.writeZip(0 as UInt16, 0 as UInt16, 0 as UInt16, 0 as UInt32, Self.field(offset))
        buffer.writeString(name)
        if needsZip64 {
            buffer.writeZip(1 as UInt16, UInt16(extra.readableBytes))
            buffer.writeImmutableBuffer(extra)
        }
    }

    /// A number in 32 bits; all ones where it is in a Zip64 field.
    static func field(_ number: UInt64) -> UInt32 { number >= limit ? .max : UInt32(truncatingIfNeeded: number) }
}

extension ByteBuffer {
    /// Little endian, as all of ZIP is.
    mutating func writeZip<each Number: FixedWidthInteger>(_ numbers: repeat each Number) {
        repeat _ = writeInteger(each numbers, endianness: .little)
    }
}
