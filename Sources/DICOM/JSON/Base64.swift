// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Base64 (RFC 4648 section 4), appended to a buffer.
enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    static func append(_ buffer: ByteBuffer, to output: inout ByteBuffer) {
        let alphabet = self.alphabet
        let bytes = buffer.readableBytesSpan
        let count = bytes.byteCount
        output.reserveCapacity(minimumWritableBytes: (count + 2) / 3 * 4)
        var offset = 0
        while count - offset >= 3 {
            let group =
                UInt32(bytes.byte(at: offset)) << 16 | UInt32(bytes.byte(at: offset + 1)) << 8
                | UInt32(bytes.byte(at: offset + 2))
            output.writeInteger(self.digits(group, alphabet))
            offset += 3
        }
        let rest = count - offset
        guard rest > 0 else { return }
        let second = rest == 2 ? UInt32(bytes.byte(at: offset + 1)) << 8 : 0
        let digits = self.digits(UInt32(bytes.byte(at: offset)) << 16 | second, alphabet)
        let padding: UInt32 = rest == 2 ? 0x3D : 0x3D3D
        output.writeInteger(digits & (rest == 2 ? 0xFFFF_FF00 : 0xFFFF_0000) | padding)
    }

    /// Four digits, the first in the upper byte.
    @inline(__always)
    private static func digits(_ group: UInt32, _ alphabet: [UInt8]) -> UInt32 {
        UInt32(alphabet[Int(group >> 18 & 63)]) << 24 | UInt32(alphabet[Int(group >> 12 & 63)]) << 16
            | UInt32(alphabet[Int(group >> 6 & 63)]) << 8 | UInt32(alphabet[Int(group & 63)])
    }
}
