// SPDX-License-Identifier: Apache-2.0

import CZlib
public import NIOCore

/// Frames files as a ZIP archive (APPNOTE 6.3) that is written from front to end: stored, not compressed, each file's CRC
/// behind it, Zip64 where 32 bits don't suffice.
///
/// Usage: `begin(…)`, the file's bytes to the archive and to `add(_:)`, `end()`; at last `finish()`. It holds a few
/// dozen bytes a file, for the directory at the end.
public struct ZipWriter: Sendable {
    private struct Entry: Sendable {
        let name: String
        let offset: UInt64
        var crc: UInt32 = 0
        var byteCount: UInt64 = 0
    }

    /// From this on a length or offset is in a Zip64 field instead.
    private let limit: UInt64
    private static let entryLimit = 0xFFFF
    /// 2.0 for what is plain, 4.5 for Zip64.
    private static let plainVersion: UInt16 = 20
    private static let zip64Version: UInt16 = 45
    /// Bit 3: CRC and lengths are behind the data.
    private static let flags: UInt16 = 1 << 3
    /// 1 January 1980, the first day there is: equal contents give equal archives.
    private static let time: UInt16 = 0
    private static let date: UInt16 = 0x21

    private var entries: [Entry] = []
    private var offset: UInt64 = 0

    public init() { self.init(zip64From: UInt64(UInt32.max)) }

    /// For tests: Zip64 for what is smaller, too, which is as valid.
    package init(zip64From limit: UInt64) { self.limit = limit }

    /// What goes before a file's bytes; `name` is of ASCII, `byteCount` what will follow.
    public mutating func begin(name: String, byteCount: Int) -> ByteBuffer {
        let isLarge = UInt64(byteCount) >= limit
        var buffer = ByteBuffer()
        buffer.write(0x0403_4B50 as UInt32, isLarge ? Self.zip64Version : Self.plainVersion, Self.flags, 0 as UInt16)
        buffer.write(Self.time, Self.date)
        // CRC and lengths: unknown yet, or rather not here. With Zip64 the lengths are in the extra field.
        let length: UInt32 = isLarge ? .max : 0
        buffer.write(0 as UInt32, length, length, UInt16(name.utf8.count), isLarge ? 20 : 0 as UInt16)
        buffer.writeString(name)
        if isLarge { buffer.write(1 as UInt16, 16 as UInt16, 0 as UInt64, 0 as UInt64) }
        entries.append(Entry(name: name, offset: offset))
        offset += UInt64(buffer.readableBytes)
        return buffer
    }

    /// Takes note of the next bytes of the file begun last.
    public mutating func add(_ bytes: ByteBuffer) {
        guard !entries.isEmpty else { return }
        let last = entries.count - 1
        unsafe bytes.withUnsafeReadableBytes { bytes in
            // zlib counts in 32 bits.
            for start in stride(from: 0, to: bytes.count, by: 1 << 30) {
                let piece = unsafe UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + 1 << 30, bytes.count)])
                let base = unsafe piece.baseAddress?.assumingMemoryBound(to: Bytef.self)
                entries[last].crc = unsafe UInt32(
                    truncatingIfNeeded: crc32(uLong(entries[last].crc), base, UInt32(piece.count))
                )
            }
        }
        entries[last].byteCount += UInt64(bytes.readableBytes)
        offset += UInt64(bytes.readableBytes)
    }

    /// What goes after the bytes of the file begun last.
    public mutating func end() -> ByteBuffer {
        var buffer = ByteBuffer()
        guard let entry = entries.last else { return buffer }
        buffer.write(0x0807_4B50 as UInt32, entry.crc)
        if entry.byteCount >= limit {
            buffer.write(entry.byteCount, entry.byteCount)
        } else {
            buffer.write(UInt32(entry.byteCount), UInt32(entry.byteCount))
        }
        offset += UInt64(buffer.readableBytes)
        return buffer
    }

    /// The directory: what goes at the end, and all there is of an archive without files.
    public consuming func finish() -> ByteBuffer {
        var buffer = ByteBuffer()
        for entry in entries { write(entry, into: &buffer) }
        let directory = UInt64(buffer.readableBytes)
        let end = offset + directory
        if entries.count >= Self.entryLimit || directory >= limit || offset >= limit {
            let count = UInt64(entries.count)
            buffer.write(0x0606_4B50 as UInt32, 44 as UInt64, Self.zip64Version, Self.zip64Version)
            buffer.write(0 as UInt32, 0 as UInt32, count, count, directory, offset)
            // Where that record is.
            buffer.write(0x0706_4B50 as UInt32, 0 as UInt32, end, 1 as UInt32)
        }
        let count = UInt16(min(entries.count, Self.entryLimit))
        buffer.write(0x0605_4B50 as UInt32, 0 as UInt16, 0 as UInt16, count, count)
        buffer.write(field(directory), field(offset), 0 as UInt16)
        return buffer
    }

    /// A number in 32 bits; all ones where it is in a Zip64 field.
    private func field(_ number: UInt64) -> UInt32 { number >= limit ? .max : UInt32(truncatingIfNeeded: number) }

    private func write(_ entry: Entry, into buffer: inout ByteBuffer) {
        var extra = ByteBuffer()
        if entry.byteCount >= limit { extra.write(entry.byteCount, entry.byteCount) }
        if entry.offset >= limit { extra.write(entry.offset) }
        let isLarge = extra.readableBytes > 0
        let version = isLarge ? Self.zip64Version : Self.plainVersion
        buffer.write(0x0201_4B50 as UInt32, version, version, Self.flags, 0 as UInt16, Self.time, Self.date, entry.crc)
        let byteCount = field(entry.byteCount)
        buffer.write(byteCount, byteCount, UInt16(entry.name.utf8.count))
        buffer.write(UInt16(isLarge ? 4 + extra.readableBytes : 0))
        // Comment, disk, internal and external attributes.
        buffer.write(0 as UInt16, 0 as UInt16, 0 as UInt16, 0 as UInt32, field(entry.offset))
        buffer.writeString(entry.name)
        if isLarge {
            buffer.write(1 as UInt16, UInt16(extra.readableBytes))
            buffer.writeImmutableBuffer(extra)
        }
    }
}

extension ByteBuffer {
    /// Little endian, as all of ZIP is.
    fileprivate mutating func write<each Number: FixedWidthInteger>(_ numbers: repeat each Number) {
        repeat _ = writeInteger(each numbers, endianness: .little)
    }
}
