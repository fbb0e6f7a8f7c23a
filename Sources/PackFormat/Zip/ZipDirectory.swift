// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// The central directory of a ZIP, as it grows: a few dozen bytes a file.
package struct ZipDirectory: Sendable {
    private var bytes = ByteBuffer()
    private var count = 0

    /// From this on the number of files is in the Zip64 record instead.
    private static let countLimit = Int(UInt16.max)
    /// Bytes of the end record without its comment.
    package static let endByteCount = 22
    package static let endSignature: UInt32 = 0x0605_4B50

    package init() {}

    package mutating func add(_ entry: ZipEntry) {
        entry.writeDirectoryEntry(into: &bytes)
        count += 1
    }

    /// The directory and what follows it to the end of the file (APPNOTE 4.3.14 to 4.3.16).
    ///
    /// `offset` is where it begins; `comment` is of ASCII, at most 65,535 bytes.
    package consuming func finished(at offset: UInt64, comment: String) -> ByteBuffer {
        var buffer = bytes
        let byteCount = UInt64(buffer.readableBytes)
        if count >= Self.countLimit || byteCount >= ZipEntry.limit || offset >= ZipEntry.limit {
            let version = ZipEntry.zip64Version
            // The record counts what follows its first two fields.
            buffer.writeZip(0x0606_4B50 as UInt32, 44 as UInt64, version, version, 0 as UInt32, 0 as UInt32)
            buffer.writeZip(UInt64(count), UInt64(count), byteCount, offset)
            // Where that record is, and the number of disks.
            buffer.writeZip(0x0706_4B50 as UInt32, 0 as UInt32, offset + byteCount, 1 as UInt32)
        }
        let count = UInt16(min(count, Self.countLimit))
        buffer.writeZip(Self.endSignature, 0 as UInt16, 0 as UInt16, count, count)
        buffer.writeZip(ZipEntry.field(byteCount), ZipEntry.field(offset), UInt16(comment.utf8.count))
        buffer.writeString(comment)
        return buffer
    }
}
