// SPDX-License-Identifier: Apache-2.0

import Checksums
public import NIOCore

/// Checks a record's metadata, payload and trailer against their checksums, and on demand the payload against its
/// SHA-256, from its bytes in order.
public struct RecordVerifier: Sendable {
    /// The bytes wanted next.
    public struct Need: Hashable, Sendable {
        /// Counted from the record's first byte.
        public let offset: UInt64
        public let byteCount: Int
        /// Whether fewer bytes from the front of these are welcome too.
        public let mayBeSplit: Bool
    }

    public let header: RecordHeader
    private let extent: RecordExtent
    private var position: UInt64
    private var metadataChecksum: UInt32 = 0
    private var blocks = BlockChecksums()
    private var hasher: SHA256Hasher?
    private var hasSoundTrailer: Bool?

    /// A check of the record that `header`, itself already checked, belongs to.
    public init(_ header: RecordHeader, includesDigest: Bool = false) {
        self.header = header
        // Padding has no digest.
        self.hasher = includesDigest && header.type != .padding ? SHA256Hasher() : nil
        self.extent = header.extent
        self.position = UInt64(RecordHeader.byteCount)
    }

    /// What to hand to `received(_:)` next; `nil` when the check is over.
    public var need: Need? {
        if hasSoundTrailer != nil { return nil }
        if position < extent.payloadOffset { return Self.part(from: position, to: extent.payloadOffset) }
        guard metadataChecksum == header.metadataChecksum else { return nil }
        if position < extent.tableOffset { return Self.part(from: position, to: extent.tableOffset) }
        let byteCount = Int(clamping: extent.byteCount - extent.tableOffset)
        return Need(offset: extent.tableOffset, byteCount: byteCount, mayBeSplit: false)
    }

    /// Whether everything that was asked for has been received and matched.
    public var isSound: Bool { hasSoundTrailer ?? false }

    /// The answer to `need`.
    public mutating func received(_ bytes: ByteBuffer) {
        if position < extent.payloadOffset {
            metadataChecksum = unsafe bytes.withUnsafeReadableBytes {
                unsafe CRC32C.checksum(of: $0, continuing: metadataChecksum)
            }
        } else if position < extent.tableOffset {
            blocks.update(bytes)
            hasher?.update(bytes)
        } else {
            do {
                let isWhole = try RecordTrailer.decode(bytes, extent: extent) == blocks.table
                hasSoundTrailer = isWhole && hasher.map { $0.digest() == header.payloadDigest } ?? true
            } catch {
                hasSoundTrailer = false
            }
        }
        position += UInt64(bytes.readableBytes)
    }

    private static func part(from start: UInt64, to end: UInt64) -> Need {
        Need(offset: start, byteCount: Int(clamping: end - start), mayBeSplit: true)
    }
}
