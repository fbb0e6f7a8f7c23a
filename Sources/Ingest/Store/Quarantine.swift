// SPDX-License-Identifier: Apache-2.0

import DICOM
import Glibc
import NIOCore
import NIOPosix

/// A directory of instances that were refused because they break rules: each a Part 10 file with its findings beside it.
///
/// Nothing here was acknowledged and nothing counts on it. Whoever looks after the archive empties it; when it is full,
/// instances are refused without being kept.
struct Quarantine: Sendable {
    /// Bytes that are kept at most, all files together.
    static let maximumByteCount = 4 << 30
    private static let pieceByteCount = 1 << 20

    let directory: String

    /// Keeps an instance; a failure to keep it is told with the refusal.
    func keep(
        _ instance: ReceivedInstance,
        spooled source: SpooledSource?,
        findings: CheckReport,
        threads: NIOThreadPool
    ) async throws(StoreFailure) {
        let meta: ByteBuffer
        do throws(DICOMError) {
            meta = try StoredFileMeta.bytes(
                sopClassUID: instance.sopClassUID,
                sopInstanceUID: instance.sopInstanceUID,
                transferSyntax: instance.transferSyntax
            )
        } catch {
            throw StoreFailure(.malformed, "not kept in quarantine, file meta information cannot be written: \(error)")
        }
        // A checked UID: digits and dots only.
        let path = "\(directory)/\(instance.sopInstanceUID)"
        let text = findings.findings.map { "\($0)\n" }.joined()
        let directory = directory
        let file = try await threads.run { () throws(StoreFailure) in
            mkdir(directory, 0o700)
            guard Self.usedByteCount(of: directory) < Self.maximumByteCount else {
                throw StoreFailure(.malformed, "refused and not kept: the quarantine \(directory) is full")
            }
            let findings = try QuarantineFile(path + ".txt")
            try findings.write(ByteBuffer(string: text))
            try findings.finish()
            let file = try QuarantineFile(path + ".dcm")
            try file.write(meta)
            return file
        }
        if let source {
            var offset = 0
            while true {
                let piece = try await source.readNext(from: offset, limit: Self.pieceByteCount)
                guard piece.readableBytes > 0 else { break }
                offset += piece.readableBytes
                try await threads.run { () throws(StoreFailure) in try file.write(piece) }
            }
        } else {
            let bytes = instance.head
            try await threads.run { () throws(StoreFailure) in try file.write(bytes) }
        }
        try await threads.run { () throws(StoreFailure) in try file.finish() }
    }

    /// Blocks.
    private static func usedByteCount(of directory: String) -> Int {
        guard let entries = opendir(directory) else { return 0 }
        defer { closedir(entries) }
        var sum = 0
        while let entry = readdir(entries) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            var status = stat()
            if stat("\(directory)/\(name)", &status) == 0 { sum += Int(status.st_size) }
        }
        return sum
    }
}

/// A file being written: it has its name once it is whole and synced, and is gone when it never gets so.
private final class QuarantineFile: Sendable {
    private let descriptor: CInt
    private let path: String
    /// A name of its own: the same instance may come twice at once.
    private let partial: String

    init(_ path: String) throws(StoreFailure) {
        let partial = "\(path).\(UInt64.random(in: 0...UInt64.max)).partial"
        let descriptor = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure("make a file in the quarantine") }
        self.path = path
        self.partial = partial
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
        unlink(partial)
    }

    /// Blocks.
    func write(_ bytes: ByteBuffer) throws(StoreFailure) {
        var rest = bytes
        while rest.readableBytes > 0 {
            let count = rest.withUnsafeReadableBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw Self.failure("write to the quarantine") }
            rest.moveReaderIndex(forwardBy: count)
        }
    }

    /// Blocks.
    func finish() throws(StoreFailure) {
        guard fsync(descriptor) == 0, rename(partial, path) == 0 else {
            throw Self.failure("keep a file in the quarantine")
        }
    }

    private static func failure(_ what: String) -> StoreFailure {
        StoreFailure(.malformed, "refused and not kept: cannot \(what): \(String(cString: strerror(errno)))")
    }
}
