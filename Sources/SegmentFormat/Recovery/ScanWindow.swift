// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The part of a segment that a scan has in memory.
struct ScanWindow {
    private(set) var offset: UInt64 = 0
    private var bytes = ByteBuffer()

    mutating func replace(with bytes: ByteBuffer, at offset: UInt64) {
        self.offset = offset
        self.bytes = bytes
    }

    /// The number of bytes in memory from `offset` on.
    func availableByteCount(at offset: UInt64) -> Int {
        guard offset >= self.offset, let start = Int(exactly: offset - self.offset) else { return 0 }
        return max(0, bytes.readableBytes - start)
    }

    /// The `byteCount` bytes at `offset`; `nil` when they are not all in memory.
    func slice(at offset: UInt64, byteCount: Int) -> ByteBuffer? {
        guard availableByteCount(at: offset) >= byteCount else { return nil }
        return bytes.getSlice(at: bytes.readerIndex + Int(offset - self.offset), length: byteCount)
    }

    /// The first four bytes at `offset`, little endian.
    func word(at offset: UInt64) -> UInt32? {
        guard availableByteCount(at: offset) >= 4 else { return nil }
        return bytes.getInteger(at: bytes.readerIndex + Int(offset - self.offset), endianness: .little)
    }

    /// Whether the `byteCount` bytes at `offset` that are in memory are all zero.
    func isZero(at offset: UInt64, byteCount: Int) -> Bool {
        let count = min(byteCount, availableByteCount(at: offset))
        guard count > 0 else { return true }
        let start = Int(offset - self.offset)
        return unsafe bytes.withUnsafeReadableBytes { all in
            let part = unsafe UnsafeRawBufferPointer(rebasing: all[start..<(start + count)])
            var index = 0
            var seen: UInt64 = 0
            while index + 8 <= count {
                seen |= unsafe part.loadUnaligned(fromByteOffset: index, as: UInt64.self)
                index += 8
            }
            while index < count {
                seen |= UInt64(unsafe part[index])
                index += 1
            }
            return seen == 0
        }
    }
}
