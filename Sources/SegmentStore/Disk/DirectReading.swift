// SPDX-License-Identifier: Apache-2.0

import CPlatform
import Glibc
import NIOCore

/// Reads past the page cache, for those who read everything once and want to know what the disk has.
enum DirectReading {
    /// What offsets, lengths and memory are multiples of: enough for every disk in use.
    private static let alignment = 4096

    /// The bytes at `offset` of the file open as `descriptor`, fewer only at its end; `nil` when the file system can't.
    static func read(_ descriptor: CInt, at offset: UInt64, byteCount: Int) throws(DiskError) -> ByteBuffer? {
        let direct = varve_file_open_direct(descriptor)
        guard direct >= 0 else { return nil }
        defer { close(direct) }
        let start = offset & ~UInt64(alignment - 1)
        let skipped = Int(offset - start)
        let wanted = (skipped + byteCount + alignment - 1) & ~(alignment - 1)
        var memory: UnsafeMutableRawPointer?
        guard posix_memalign(&memory, alignment, max(wanted, alignment)) == 0, let memory else { return nil }
        defer { free(memory) }
        var done = 0
        while done < wanted {
            let count = pread(direct, memory + done, wanted - done, off_t(start) + off_t(done))
            if count < 0 {
                if errno == EINTR { continue }
                if errno == EINVAL { return nil }
                throw DiskError("pread", number: errno)
            }
            done += count
            // The file's end, which need not be at a block's.
            if count == 0 || !count.isMultiple(of: alignment) { break }
        }
        let bytes = UnsafeRawBufferPointer(start: memory, count: done)
        return ByteBuffer(bytes: bytes[min(skipped, done)..<min(skipped + byteCount, done)])
    }
}
