// SPDX-License-Identifier: Apache-2.0

/// Text of a stranger, made fit for a terminal.
public enum TerminalText {
    /// `text` without what could move a cursor, change colours or turn the direction of writing.
    ///
    /// Controls (C0, DEL, C1), line and paragraph separators and the bidirectional controls become `\n`, `\r`, `\t` or
    /// `\u{1B}`; everything else stays.
    public static func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { self.isUnsafe($0) }) else { return text }
        var result = ""
        result.reserveCapacity(text.utf8.count + 16)
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case _ where self.isUnsafe(scalar):
                result += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F...0x9F, 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069, 0xFEFF: true
        default: false
        }
    }

    /// At most `count` characters of `text`, with a mark when some were left out.
    static func shortened(_ text: String, to count: Int) -> String {
        guard text.utf8.count > count, let end = text.index(text.startIndex, offsetBy: count, limitedBy: text.endIndex),
            end < text.endIndex
        else { return text }
        return text[..<end] + "..."
    }
}
