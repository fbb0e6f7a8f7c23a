// SPDX-License-Identifier: Apache-2.0

import CPlatform
import Glibc
package import NIOCore

/// Reads past the page cache, for those who read everything once and want to know what the disk has.
package enum DirectReading {
    /// What offsets, lengths and memory are multiples of: enough for every disk in use.
    private static let alignment = 4096

    /// An errno value of a read that failed.
    package struct Failure: Error {
        package let number: CInt
    }

    /// The bytes at `offset` of the file open as `descriptor`, fewer only at its end; `nil` when the file system can't.
    package static func read(
        _ descriptor: CInt,
        at offset: UInt64,
        byteCount: Int
    ) throws(Failure) -> ByteBuffer? {
        let direct = varve_file_open_direct(descriptor)
        guard direct >= 0 else { return nil }
        defer { close(direct) }
        let start = offset & ~UInt64(alignment - 1)
        let skipped = Int(offset - start)
        let wanted = (skipped + byteCount + alignment - 1) & ~(alignment - 1)
        // Read to where a block's alignment is in the buffer's own memory, so that nothing is copied.
        var buffer = ByteBufferAllocator().buffer(capacity: wanted + alignment)
        var first = 0
        var failure: CInt = 0
        let end = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: wanted + alignment) { memory in
            guard let base = memory.baseAddress else { return 0 }
            first = (alignment - Int(bitPattern: base) & (alignment - 1)) & (alignment - 1)
            var done = 0
            while done < wanted {
                let count = pread(direct, base + first + done, wanted - done, off_t(start) + off_t(done))
                if count < 0 {
                    if errno == EINTR { continue }
                    failure = errno
                    break
                }
                done += count
                // The file's end, which need not be at a block's.
                if count == 0 || !count.isMultiple(of: alignment) { break }
            }
            return first + done
        }
        if failure == EINVAL { return nil }
        guard failure == 0 else { throw Failure(number: failure) }
        let lower = min(first + skipped, end)
        return buffer.getSlice(at: lower, length: min(byteCount, end - lower))
    }
}
