// SPDX-License-Identifier: Apache-2.0

import Checksums
public import NIOCore

/// Finds out what is in a pack by as few reads as possible: one of a small pack, two of others.
///
/// It asks for a range, is given its bytes, and asks again or is finished. The manifest is believed when its SHA-256 is
/// that of the pack's last bytes, and when the ZIP's directory is, byte for byte, the one that follows from it: every
/// flipped bit behind the instances is found. It allocates for what the pack really has, within `PackLimits`.
public struct PackReader: Sendable {
    /// What to do next.
    public enum Step: Hashable, Sendable {
        /// Read these bytes of the pack and give them to `receive`.
        case read(Range<UInt64>)
        case finished(PackManifest)
    }

    /// What to do next for whoever wants an index.
    public enum IndexStep: Hashable, Sendable {
        /// Read these bytes of the pack and give them to `receiveForIndex`.
        case read(Range<UInt64>)
        case finished(PackIndex)
    }

    /// What is read first, from the end: enough for manifest and directory of 400 instances made from files.
    public static let defaultTailByteCount: UInt64 = 256 << 10
    private static let endByteCount = UInt64(ZipDirectory.endByteCount + ManifestPlace.commentByteCount)

    private let byteCount: UInt64
    private var wanted: Range<UInt64>
    private var place: ManifestPlace?
    /// The pack's last bytes, as far as they were read.
    private var tail = ByteBuffer()

    /// Reads a pack of `byteCount` bytes; `tailByteCount` of them first.
    public init(byteCount: UInt64, tailByteCount: UInt64 = Self.defaultTailByteCount) throws(PackError) {
        guard byteCount > Self.endByteCount else {
            throw PackError(.notAPack, "\(byteCount) bytes are no pack: it is another file, or its end is missing")
        }
        self.byteCount = byteCount
        let tailByteCount = min(max(tailByteCount, Self.endByteCount), byteCount)
        self.wanted = byteCount - tailByteCount..<byteCount
    }

    /// The first step.
    public var first: Step { .read(wanted) }

    /// The first step for whoever wants an index.
    public var firstForIndex: IndexStep { .read(wanted) }

    /// Takes the bytes of the range that was asked for.
    public mutating func receive(_ bytes: ByteBuffer) throws(PackError) -> Step {
        guard let place = try take(bytes) else { return .read(wanted) }
        return .finished(try read(place))
    }

    /// The same, for single records soon: the manifest has its SHA-256, the ZIP's directory is not looked at, and of the
    /// instances only the one that is asked for is parsed.
    public mutating func receiveForIndex(_ bytes: ByteBuffer) throws(PackError) -> IndexStep {
        guard let place = try take(bytes) else { return .read(wanted) }
        tail.moveReaderIndex(forwardBy: Int(Self.headerByteCount))
        guard let json = tail.readSlice(length: Int(place.byteCount)) else {
            throw PackError(.damaged, "the manifest ends early")
        }
        return .finished(try PackIndex(try Self.proven(json, place), at: place.offset))
    }

    /// Where the manifest is when `tail` begins with its local header; `nil` when `wanted` is to be read before.
    private mutating func take(_ bytes: ByteBuffer) throws(PackError) -> ManifestPlace? {
        guard UInt64(bytes.readableBytes) == wanted.upperBound - wanted.lowerBound else {
            throw PackError(.damaged, "\(bytes.readableBytes) bytes came of \(wanted.upperBound - wanted.lowerBound)")
        }
        if tail.readableBytes == 0 {
            // Megabytes that would be copied.
            tail = bytes
        } else {
            var joined = bytes
            joined.writeImmutableBuffer(tail)
            tail = joined
        }
        let tailOffset = byteCount - UInt64(tail.readableBytes)
        if place == nil { place = try readPlace() }
        guard let place else { throw PackError(.notAPack, "the end is not a pack's") }
        let start = place.offset - Self.headerByteCount
        guard start >= tailOffset else {
            wanted = start..<tailOffset
            return nil
        }
        tail.moveReaderIndex(forwardBy: Int(start - tailOffset))
        return place
    }

    /// Of the manifest's local header.
    private static let headerByteCount = UInt64(30 + PackManifest.name.utf8.count)

    /// Reads the last bytes: the end record with its comment.
    private func readPlace() throws(PackError) -> ManifestPlace {
        var end = tail
        end.moveReaderIndex(forwardBy: tail.readableBytes - Int(Self.endByteCount))
        guard end.readInteger(endianness: .little, as: UInt32.self) == ZipDirectory.endSignature,
            let fields = end.readSlice(length: ZipDirectory.endByteCount - 4),
            fields.getInteger(at: fields.writerIndex - 2, endianness: .little, as: UInt16.self)
                == UInt16(ManifestPlace.commentByteCount)
        else { throw PackError(.notAPack, "the end is not a pack's: it is another file, or its end is missing") }
        let place = try ManifestPlace(comment: String(buffer: end))
        guard place.byteCount <= UInt64(PackLimits.maximumManifestByteCount) else {
            throw PackError(.limitExceeded, "the manifest has \(place.byteCount) bytes, more than one may have")
        }
        guard place.offset >= Self.headerByteCount,
            place.offset <= byteCount - Self.endByteCount,
            place.byteCount <= byteCount - Self.endByteCount - place.offset,
            byteCount - place.offset - place.byteCount <= PackLimits.maximumDirectoryByteCount
        else { throw PackError(.damaged, "the manifest can't be where the comment at the pack's end says") }
        return place
    }

    /// Checks and reads what begins with the manifest's local header and ends with the pack.
    private func read(_ place: ManifestPlace) throws(PackError) -> PackManifest {
        var rest = tail
        guard let header = rest.readSlice(length: Int(Self.headerByteCount)),
            let json = rest.readSlice(length: Int(place.byteCount))
        else { throw PackError(.damaged, "the manifest ends early") }
        let manifest = try PackManifest(decoding: try Self.proven(json, place))
        let (file, directory) = try manifest.directory(manifest: json, at: place)
        guard header == file.localHeader(),
            rest == directory.finished(at: file.endOffset, comment: place.comment)
        else { throw PackError(.damaged, "the ZIP's directory is not that of the manifest: read another copy") }
        return manifest
    }

    private static func proven(_ json: ByteBuffer, _ place: ManifestPlace) throws(PackError) -> ByteBuffer {
        guard SHA256Hasher.digest(of: json) == place.digest else {
            throw PackError(.digestMismatch, "the manifest has not its SHA-256: read another copy of the pack")
        }
        return json
    }
}
