// SPDX-License-Identifier: Apache-2.0

import CISAL
public import NIOCore

/// CRC-32 as ZIP and gzip have it (RFC 1952 section 8); what Varve itself checks with is `CRC32C`.
///
/// Computed by ISA-L; the result for `123456789` is `0xCBF43926`.
public enum CRC32 {
    /// The checksum of the readable bytes of `buffer`, continuing from the checksum `previous` of the bytes before them.
    public static func checksum(of buffer: ByteBuffer, continuing previous: UInt32 = 0) -> UInt32 {
        buffer.withUnsafeReadableBytes { bytes in
            guard let base = bytes.baseAddress else { return previous }
            return crc32_gzip_refl(previous, base.assumingMemoryBound(to: UInt8.self), UInt64(bytes.count))
        }
    }
}
