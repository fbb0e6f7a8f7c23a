// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// Base64 (RFC 4648 section 4), appended to a buffer.
package enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

    package static func append(_ buffer: ByteBuffer, to output: inout ByteBuffer) {
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

    /// The bytes that the digits at `range` stand for; nil when they are no base64.
    ///
    /// White space is passed over and padding may be missing (RFC 4648 section 3.2).
    package static func decode(_ bytes: RawSpan, _ range: Range<Int>) -> ByteBuffer? {
        var output = ByteBuffer()
        output.reserveCapacity(range.count / 4 * 3 + 3)
        var group: UInt32 = 0
        var count = 0
        var paddingCount = 0
        for offset in range {
            let byte = bytes.byte(at: offset)
            guard let digit = self.value(ofDigit: byte), paddingCount == 0 else {
                if byte == UInt8(ascii: "=") { paddingCount += 1 } else if byte > 0x20 { return nil }
                continue
            }
            group = group << 6 | digit
            count += 1
            if count == 4 {
                output.writeMultipleIntegers(UInt16(truncatingIfNeeded: group >> 8), UInt8(truncatingIfNeeded: group))
                (group, count) = (0, 0)
            }
        }
        guard count != 1, paddingCount == 0 || count + paddingCount == 4 else { return nil }
        if count >= 2 { output.writeInteger(UInt8(truncatingIfNeeded: group >> (count == 2 ? 4 : 10))) }
        if count == 3 { output.writeInteger(UInt8(truncatingIfNeeded: group >> 2)) }
        return output
    }

    /// Also of the alphabet for URLs (RFC 4648 section 5).
    @inline(__always)
    private static func value(ofDigit byte: UInt8) -> UInt32? {
        switch byte {
        case 0x41...0x5A: UInt32(byte - 0x41)
        case 0x61...0x7A: UInt32(byte - 0x61 + 26)
        case 0x30...0x39: UInt32(byte - 0x30 + 52)
        case UInt8(ascii: "+"), UInt8(ascii: "-"): 62
        case UInt8(ascii: "/"), UInt8(ascii: "_"): 63
        default: nil
        }
    }
}
