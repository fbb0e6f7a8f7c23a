// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// JSON (RFC 8259) written straight into a buffer.
public enum JSONText {
    /// Writes a string in quotes, escaping what RFC 8259 §7 demands and nothing else.
    public static func write(_ text: String, into buffer: inout ByteBuffer) {
        buffer.writeInteger(UInt8(ascii: "\""))
        if text.utf8.allSatisfy({ $0 >= 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }) {
            buffer.writeString(text)
        } else {
            for byte in text.utf8 { writeEscaped(byte, into: &buffer) }
        }
        buffer.writeInteger(UInt8(ascii: "\""))
    }

    private static func writeEscaped(_ byte: UInt8, into buffer: inout ByteBuffer) {
        switch byte {
        case UInt8(ascii: "\""): buffer.writeStaticString("\\\"")
        case UInt8(ascii: "\\"): buffer.writeStaticString("\\\\")
        case 0x0A: buffer.writeStaticString("\\n")
        case 0x0D: buffer.writeStaticString("\\r")
        case 0x09: buffer.writeStaticString("\\t")
        case 0..<0x20:
            let digits = Array("0123456789abcdef".utf8)
            buffer.writeStaticString("\\u00")
            buffer.writeInteger(digits[Int(byte >> 4)])
            buffer.writeInteger(digits[Int(byte & 15)])
        default: buffer.writeInteger(byte)
        }
    }

    /// Whether a text is an integer that JSON's readers keep exact: 53 bits (RFC 8259 §6), in JSON's spelling.
    static func isExactInteger(_ text: Substring) -> Bool {
        guard let number = Int64(text), number.magnitude < 1 << 53 else { return false }
        return String(number) == text
    }
}
