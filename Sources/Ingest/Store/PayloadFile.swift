// SPDX-License-Identifier: Apache-2.0

import Checksums
import Glibc
import NIOCore

/// A nameless file in the spool in which the payload of a large instance is put together.
///
/// Written by one task at a time, then only read. Its calls block: they run on the spool's threads. The file has no
/// name, so the kernel frees it when the last reference is gone, also after a crash.
final class PayloadFile: Sendable {
    /// Bytes read or written at once.
    static let pieceByteCount = 1 << 20

    private let descriptor: CInt

    /// Makes an empty file in `directory`.
    init(directory: String) throws(StoreFailure) {
        var path = Array((directory + "/payload-XXXXXX").utf8CString)
        let descriptor = mkstemp(&path)
        guard descriptor >= 0 else { throw Self.failure("make a file in the spool directory") }
        unlink(path)
        self.descriptor = descriptor
    }

    deinit {
        close(descriptor)
    }

    /// Writes all of `bytes` at `offset`.
    func write(_ bytes: ByteBuffer, at offset: Int) throws(StoreFailure) {
        var written = 0
        while written < bytes.readableBytes {
            let count = bytes.withUnsafeReadableBytes { pointer in
                let rest = UnsafeRawBufferPointer(rebasing: pointer[written...])
                return pwrite(descriptor, rest.baseAddress, rest.count, off_t(offset + written))
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw Self.failure("write to the spool") }
            written += count
        }
    }

    /// Reads exactly `range`.
    func read(_ range: Range<Int>) throws(StoreFailure) -> ByteBuffer {
        var buffer = ByteBufferAllocator().buffer(capacity: range.count)
        while buffer.readableBytes < range.count {
            let missing = range.count - buffer.readableBytes
            let count = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: missing) { pointer in
                max(0, pread(descriptor, pointer.baseAddress, missing, off_t(range.upperBound - missing)))
            }
            guard count > 0 else { throw Self.failure("read from the spool") }
        }
        return buffer
    }

    /// SHA-256 of the first `byteCount` bytes.
    func digest(byteCount: Int) throws(StoreFailure) -> SHA256Digest {
        var hasher = SHA256Hasher()
        for start in stride(from: 0, to: byteCount, by: Self.pieceByteCount) {
            hasher.update(try read(start..<min(start + Self.pieceByteCount, byteCount)))
        }
        return hasher.digest()
    }

    private static func failure(_ what: String) -> StoreFailure {
        StoreFailure(.unavailable, "cannot \(what): \(String(cString: strerror(errno)))")
    }
}
