// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import NIOCore

/// Proves a pack whose manifest was read: is given all its bytes from the first to the last, in pieces of any length.
///
/// Every instance is checked by SHA-256 and CRC-32, and everything before the manifest by one SHA-256; `PackReader` has
/// checked the rest. So no flipped bit goes unnoticed, and what it hit is named.
public struct PackVerifier: Sendable {
    /// Something that is wrong.
    public struct Finding: Hashable, Sendable {
        /// The entry of the ZIP; `nil` when it is none of them.
        public let path: String?
        /// Where in the pack.
        public let offset: UInt64
        public let message: String
    }

    /// What was found.
    public struct Result: Hashable, Sendable {
        /// In the order of their offsets; empty for a sound pack.
        public let findings: [Finding]
        /// The SHA-256 of the whole pack.
        public let digest: SHA256Digest
        public let byteCount: UInt64
    }

    private let manifest: PackManifest
    private var offset: UInt64 = 0
    /// The entry that is being read, or comes next.
    private var index = 0
    private var whole = SHA256Hasher()
    private var contentDigest: SHA256Digest?
    private var payload = SHA256Hasher()
    private var crc32: UInt32 = 0
    private var findings: [Finding] = []

    public init(_ manifest: PackManifest) {
        self.manifest = manifest
    }

    /// Takes the next bytes.
    public mutating func append(_ bytes: ByteBuffer) {
        var rest = bytes
        while rest.readableBytes > 0 {
            let isPayload = manifest.entries.indices.contains(index) && offset >= manifest.entries[index].offset
            let count = Int(min(UInt64(rest.readableBytes), boundary - offset))
            guard let piece = rest.readSlice(length: count) else { return }
            whole.update(piece)
            if isPayload {
                payload.update(piece)
                crc32 = CRC32.checksum(of: piece, continuing: crc32)
            }
            offset += UInt64(count)
            passBoundaries()
        }
    }

    /// Says what was found; bytes that never came are a finding, too.
    public consuming func finish(expecting byteCount: UInt64) -> Result {
        if offset != byteCount {
            findings.append(
                Finding(path: nil, offset: offset, message: "the pack ends after \(offset) bytes of \(byteCount)")
            )
        }
        for entry in manifest.entries.dropFirst(index) {
            findings.append(
                Finding(path: entry.path, offset: entry.offset, message: "the pack ends within it or before")
            )
        }
        if findings.isEmpty, contentDigest != manifest.contentDigest {
            findings.append(
                Finding(
                    path: nil,
                    offset: 0,
                    message: "every instance is sound, and the ZIP's headers between them are not"
                )
            )
        }
        return Result(findings: findings, digest: whole.digest(), byteCount: offset)
    }

    /// Where the piece that `offset` is in ends: before an instance, at its end, at the manifest, or never.
    private var boundary: UInt64 {
        guard manifest.entries.indices.contains(index) else {
            return offset < manifest.contentByteCount ? manifest.contentByteCount : .max
        }
        let range = manifest.entries[index].range
        return offset < range.lowerBound ? range.lowerBound : range.upperBound
    }

    /// Notes what ends at `offset`.
    private mutating func passBoundaries() {
        // Of empty instances several may.
        while manifest.entries.indices.contains(index), manifest.entries[index].range.upperBound == offset {
            check(manifest.entries[index])
            payload = SHA256Hasher()
            crc32 = 0
            index += 1
        }
        if offset == manifest.contentByteCount { contentDigest = whole.digest() }
    }

    private mutating func check(_ entry: PackEntry) {
        if payload.digest() != entry.digest {
            findings.append(Finding(path: entry.path, offset: entry.offset, message: "its bytes have not its SHA-256"))
        } else if crc32 != entry.crc32 {
            findings.append(Finding(path: entry.path, offset: entry.offset, message: "its bytes have not its CRC-32"))
        }
    }
}
