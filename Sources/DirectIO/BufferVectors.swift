// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore

/// Several buffers as one write.
enum BufferVectors {
    /// Vectors of one call, which the system bounds.
    private static let callLimit = 1024

    /// Runs `body` while the bytes of all `buffers` are pinned.
    static func with(_ buffers: [ByteBuffer], _ body: (inout [iovec]) -> CInt) -> CInt {
        var vectors: [iovec] = []
        vectors.reserveCapacity(buffers.count)
        return pinned(buffers[...], &vectors, body)
    }

    /// One stack frame a buffer, whose number callers bound.
    private static func pinned(
        _ buffers: ArraySlice<ByteBuffer>,
        _ vectors: inout [iovec],
        _ body: (inout [iovec]) -> CInt
    ) -> CInt {
        guard let first = buffers.first else { return body(&vectors) }
        return first.withUnsafeReadableBytes { bytes in
            if let base = bytes.baseAddress, bytes.count > 0 {
                vectors.append(iovec(iov_base: UnsafeMutableRawPointer(mutating: base), iov_len: bytes.count))
            }
            return pinned(buffers.dropFirst(), &vectors, body)
        }
    }

    /// Writes everything through the page cache; 0 or the errno value of the first failure.
    static func writeAll(_ vectors: inout [iovec], at offset: off_t, descriptor: CInt) -> CInt {
        var offset = offset
        var first = 0
        while first < vectors.count {
            let count = min(vectors.count - first, callLimit)
            let written = vectors.withUnsafeBufferPointer { all in
                pwritev(descriptor, all.baseAddress.map { $0 + first }, CInt(count), offset)
            }
            if written < 0 {
                if errno == EINTR { continue }
                return errno
            }
            if written == 0 { return EIO }
            offset += off_t(written)
            var rest = written
            while rest > 0, rest >= vectors[first].iov_len {
                rest -= vectors[first].iov_len
                first += 1
            }
            if rest > 0 {
                vectors[first].iov_base += rest
                vectors[first].iov_len -= rest
            }
        }
        return 0
    }
}
