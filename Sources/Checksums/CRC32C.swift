// SPDX-License-Identifier: Apache-2.0

import CISAL
public import NIOCore

/// CRC-32C (Castagnoli, RFC 3720 appendix B.4), the checksum of every message, header and 64 KiB block.
///
/// Computed by ISA-L, which runs at memory speed; the result for `123456789` is `0xE3069283`.
public enum CRC32C {
    /// The checksum of the readable bytes of `buffer`.
    @inlinable
    public static func checksum(of buffer: ByteBuffer) -> UInt32 {
        buffer.withUnsafeReadableBytes { bytes in self.checksum(of: bytes) }
    }

    /// The checksum of `bytes`.
    @inlinable
    public static func checksum(of bytes: [UInt8]) -> UInt32 {
        bytes.withUnsafeBytes { bytes in self.checksum(of: bytes) }
    }

    /// The checksum of `bytes`, continuing from the checksum `previous` of the bytes before them.
    public static func checksum(of bytes: UnsafeRawBufferPointer, continuing previous: UInt32 = 0) -> UInt32 {
        guard let base = bytes.baseAddress else { return previous }
        var crc = ~previous
        var offset = 0
        // ISA-L takes the length as a C int: longer inputs go through in parts.
        while offset < bytes.count {
            let count = min(bytes.count - offset, 1 << 30)
            let start = UnsafeMutableRawPointer(mutating: base + offset)
            crc = crc32_iscsi(start.assumingMemoryBound(to: UInt8.self), Int32(count), crc)
            offset += count
        }
        return ~crc
    }
}
