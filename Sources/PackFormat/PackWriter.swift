// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import NIOCore

/// Makes a pack in one pass from front to end (`docs/formats/pack.md`): what its methods return is to be written, in order.
///
/// Usage: for each instance `begin`, `append` as often as it takes, `end`; at last `finish`. It holds the directory and
/// the manifest as they grow, and nothing of the instances. After an error it makes nothing more: what was written is no
/// pack, and is to be thrown away.
public struct PackWriter: Sendable {
    /// What is known of a pack when it is complete.
    public struct Summary: Hashable, Sendable {
        /// Bytes of the whole pack.
        public let byteCount: UInt64
        /// The SHA-256 of the whole pack, which it can't hold itself: to be kept elsewhere.
        public let digest: SHA256Digest
        public let instanceCount: Int
    }

    private struct Running {
        let instance: PackInstance
        let path: String
        let file: ZipEntry
        /// Nil when the digest that was announced is taken as it is.
        var hasher: SHA256Hasher?
        var crc32: UInt32 = 0
        var byteCount: UInt64 = 0

        mutating func add(_ bytes: ByteBuffer) {
            hasher?.update(bytes)
            crc32 = CRC32.checksum(of: bytes, continuing: crc32)
        }
    }

    private enum State {
        case between
        case inside(Running)
        case over
    }

    public let description: PackDescription
    private var state = State.between
    private var paths: Set<String> = []
    private var manifest = ManifestWriter()
    private var directory = ZipDirectory()
    private var offset: UInt64 = 0
    private var hasher = SHA256Hasher()

    public init(_ description: PackDescription) throws(PackError) {
        guard (1...PackLimits.maximumPartCount).contains(description.partCount),
            (1...description.partCount).contains(description.part)
        else { throw PackError(.invalid, "part \(description.part) of \(description.partCount) is none") }
        self.description = description
    }

    /// Begins an instance; returns what goes before its bytes.
    ///
    /// The digest that is announced is compared with that of the bytes, unless `isComparing` is false: for those who have all
    /// of the pack read back and proven before it counts, which finds the same.
    public mutating func begin(_ instance: PackInstance, isComparing: Bool = true) throws(PackError) -> ByteBuffer {
        guard case .between = state else { throw misuse("an instance is begun") }
        state = .over
        let path = instance.path(in: description.studyInstanceUID)
        try instance.validate(path: path, else: .invalid)
        guard paths.insert(path).inserted else {
            throw PackError(.invalid, "\(path) is in the pack already: an instance can't be in it twice")
        }
        guard paths.count <= PackLimits.maximumInstanceCount else {
            throw PackError(
                .limitExceeded,
                "a pack holds at most \(PackLimits.maximumInstanceCount) instances: spread the study over parts"
            )
        }
        let file = ZipEntry(
            name: path,
            offset: offset,
            byteCount: instance.byteCount,
            crc32: 0,
            hasDescriptor: true
        )
        let hasher = isComparing || instance.digest == nil ? SHA256Hasher() : nil
        state = .inside(Running(instance: instance, path: path, file: file, hasher: hasher))
        return written(file.localHeader())
    }

    /// Takes the next bytes of the instance, and returns them.
    public mutating func append(_ bytes: ByteBuffer) throws(PackError) -> ByteBuffer {
        var running = try take(bytes)
        running.add(bytes)
        state = .inside(running)
        return written(bytes)
    }

    /// As ``append(_:)``, with the digest of the instance and that of the pack computed at the same time.
    ///
    /// For pieces of a hundred kilobytes or more: a digest of a megabyte takes half a millisecond, a task some microseconds.
    public mutating func appendInParallel(_ bytes: ByteBuffer) async throws(PackError) -> ByteBuffer {
        var running = try take(bytes)
        let before = hasher
        async let whole = Self.adding(bytes, to: before)
        running.add(bytes)
        state = .inside(running)
        hasher = await whole
        offset += UInt64(bytes.readableBytes)
        return bytes
    }

    private static func adding(_ bytes: ByteBuffer, to hasher: SHA256Hasher) async -> SHA256Hasher {
        var hasher = hasher
        hasher.update(bytes)
        return hasher
    }

    /// The instance that the bytes belong to; nothing is made any more until it is in the state again.
    private mutating func take(_ bytes: ByteBuffer) throws(PackError) -> Running {
        guard case .inside(var running) = state else { throw misuse("bytes are appended") }
        state = .over
        running.byteCount += UInt64(bytes.readableBytes)
        guard running.byteCount <= running.instance.byteCount else {
            throw PackError(.invalid, "\(running.path) has more than the \(running.instance.byteCount) bytes announced")
        }
        return running
    }

    /// Ends the instance, whose bytes must be those that were announced; returns what goes behind them.
    public mutating func end() throws(PackError) -> ByteBuffer {
        guard case .inside(let running) = state else { throw misuse("an instance is ended") }
        state = .over
        let instance = running.instance
        guard running.byteCount == instance.byteCount else {
            throw PackError(
                .invalid,
                "\(running.path) has \(running.byteCount) bytes instead of the \(instance.byteCount) announced"
            )
        }
        guard let digest = running.hasher?.digest() ?? instance.digest,
            instance.digest == nil || instance.digest == digest
        else {
            throw PackError(.digestMismatch, "\(running.path) has not the SHA-256 announced: read another copy of it")
        }
        var file = running.file
        file.crc32 = running.crc32
        directory.add(file)
        manifest.add(
            PackEntry(
                instance: instance,
                digest: digest,
                path: running.path,
                offset: file.contentOffset,
                crc32: running.crc32
            )
        )
        // What the head of the manifest takes is much less than what is left out here.
        guard manifest.byteCount < PackLimits.maximumManifestByteCount - 4096 else {
            throw PackError(.limitExceeded, "the manifest would be too large: spread the study over more parts")
        }
        state = .between
        return written(file.descriptor())
    }

    /// Ends the pack; returns its last bytes.
    public mutating func finish() throws(PackError) -> (bytes: ByteBuffer, summary: Summary) {
        guard case .between = state, manifest.count > 0 else { throw misuse("a pack is finished") }
        state = .over
        let instanceCount = manifest.count
        let json = manifest.finished(description, contentByteCount: offset, contentDigest: hasher.digest())
        let file = ZipEntry(
            name: PackManifest.name,
            offset: offset,
            byteCount: UInt64(json.readableBytes),
            crc32: CRC32.checksum(of: json),
            hasDescriptor: false
        )
        directory.add(file)
        let place = ManifestPlace(
            offset: file.contentOffset,
            byteCount: file.byteCount,
            digest: SHA256Hasher.digest(of: json)
        )
        var bytes = file.localHeader()
        bytes.writeImmutableBuffer(json)
        bytes.writeImmutableBuffer(directory.finished(at: file.endOffset, comment: place.comment))
        bytes = written(bytes)
        return (bytes, Summary(byteCount: offset, digest: hasher.digest(), instanceCount: instanceCount))
    }

    private mutating func written(_ bytes: ByteBuffer) -> ByteBuffer {
        hasher.update(bytes)
        offset += UInt64(bytes.readableBytes)
        return bytes
    }

    private mutating func misuse(_ what: String) -> PackError {
        defer { state = .over }
        switch state {
        case .between: return PackError(.invalid, "\(what) while no instance is, or none was")
        case .inside(let running): return PackError(.invalid, "\(what) while \(running.path) is not ended")
        case .over: return PackError(.invalid, "\(what) after the pack was finished or given up")
        }
    }
}
