// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import DICOM
import NIOCore

/// What a pack's `manifest.json` says: the pack, its instances in the order in which they lie, and the digest of all bytes
/// before it.
public struct PackManifest: Hashable, Sendable {
    public internal(set) var description: PackDescription
    public internal(set) var entries: [PackEntry]
    /// How many bytes are before the manifest's entry in the ZIP.
    public internal(set) var contentByteCount: UInt64
    /// The SHA-256 of these bytes.
    public internal(set) var contentDigest: SHA256Digest

    /// The name of the last entry.
    public static let name = "manifest.json"

    /// The entry of that SOP Instance UID, looked for one by one.
    public func entry(sopInstanceUID: UID) -> PackEntry? {
        entries.first { $0.instance.sopInstanceUID == sopInstanceUID }
    }

    /// Checks that the entries follow one another as a writer puts them, and gives the directory they make.
    ///
    /// Nothing can overlap then, and offsets of the manifest are as good as those of the ZIP.
    func directory(manifest bytes: ByteBuffer, at place: ManifestPlace) throws(PackError) -> (ZipEntry, ZipDirectory) {
        var directory = ZipDirectory()
        var offset: UInt64 = 0
        for entry in entries {
            let file = ZipEntry(
                name: entry.path,
                offset: offset,
                byteCount: entry.instance.byteCount,
                crc32: entry.crc32,
                hasDescriptor: true
            )
            guard file.contentOffset == entry.offset else {
                throw PackError(.damaged, "\(entry.path) is not where the files before it end")
            }
            directory.add(file)
            offset = file.endOffset
        }
        let file = ZipEntry(
            name: Self.name,
            offset: offset,
            byteCount: UInt64(bytes.readableBytes),
            crc32: CRC32.checksum(of: bytes),
            hasDescriptor: false
        )
        guard offset == contentByteCount, file.contentOffset == place.offset else {
            throw PackError(.damaged, "the manifest is not where the files before it end")
        }
        directory.add(file)
        return (file, directory)
    }
}
