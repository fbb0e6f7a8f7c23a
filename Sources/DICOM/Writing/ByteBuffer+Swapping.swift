// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension ByteBuffer {
    /// Appends the readable bytes of `bytes` with each number of `width` bytes (2, 4 or 8) reversed.
    ///
    /// A rest that is no whole number stays as it is.
    mutating func writeSwapped(_ bytes: ByteBuffer, every width: Int) {
        let count = bytes.readableBytes
        unsafe self.writeWithUnsafeMutableBytes(minimumWritableBytes: count) { target in
            unsafe bytes.withUnsafeReadableBytes { source in
                switch width {
                case 2: unsafe Self.swap(source, target, as: UInt16.self)
                case 4: unsafe Self.swap(source, target, as: UInt32.self)
                case 8: unsafe Self.swap(source, target, as: UInt64.self)
                default: unsafe target.copyMemory(from: source)
                }
            }
            return count
        }
    }

    func swapped(every width: Int) -> ByteBuffer {
        var result = ByteBuffer()
        result.reserveCapacity(self.readableBytes)
        result.writeSwapped(self, every: width)
        return result
    }

    /// The target has room for all of the source: its writer was asked for that much.
    private static func swap<Word: FixedWidthInteger & BitwiseCopyable>(
        _ source: UnsafeRawBufferPointer,
        _ target: UnsafeMutableRawBufferPointer,
        as type: Word.Type
    ) {
        let width = MemoryLayout<Word>.size
        let whole = source.count / width * width
        var offset = 0
        while offset < whole {
            let word = unsafe source.loadUnaligned(fromByteOffset: offset, as: Word.self)
            unsafe target.storeBytes(of: word.byteSwapped, toByteOffset: offset, as: Word.self)
            offset += width
        }
        while offset < source.count {
            unsafe target[offset] = source[offset]
            offset += 1
        }
    }
}
