// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore

/// An open file without a name.
///
/// Closes it when released.
final class SpoolFile: Sendable {
    let descriptor: CInt

    /// Blocks.
    init(directory: String) throws(DICOMNetworkError) {
        let path = "\(directory)/varve-spool-\(UInt64.random(in: 0...UInt64.max))"
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            throw Self.failed("open a spool file in \(directory)")
        }
        unlink(path)
        self.descriptor = descriptor
    }

    deinit {
        close(self.descriptor)
    }

    /// Blocks.
    func write(_ bytes: ByteBuffer, at offset: Int) throws(DICOMNetworkError) {
        var position = offset
        var rest = bytes
        while rest.readableBytes > 0 {
            let written = rest.withUnsafeReadableBytes { pwrite(self.descriptor, $0.baseAddress, $0.count, position) }
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { throw Self.failed("write to a spool file") }
            position += written
            rest.moveReaderIndex(forwardBy: written)
        }
    }

    /// Blocks.
    func read(_ range: Range<Int>) throws(DICOMNetworkError) -> ByteBuffer {
        var bytes = ByteBuffer()
        bytes.reserveCapacity(range.count)
        while bytes.readableBytes < range.count {
            let missing = range.count - bytes.readableBytes
            let position = range.lowerBound + bytes.readableBytes
            var outcome = 0
            bytes.writeWithUnsafeMutableBytes(minimumWritableBytes: missing) { target in
                outcome = pread(self.descriptor, target.baseAddress, missing, position)
                return max(outcome, 0)
            }
            if outcome < 0 && errno == EINTR { continue }
            guard outcome > 0 else { throw Self.failed("read a spool file") }
        }
        return bytes
    }

    @inline(never)
    private static func failed(_ what: String) -> DICOMNetworkError {
        DICOMNetworkError(.spool, "cannot \(what): \(String(cString: strerror(errno)))")
    }
}
