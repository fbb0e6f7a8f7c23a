// SPDX-License-Identifier: Apache-2.0

/// A place in the answer to a query, after one of its rows: the next page begins there.
///
/// Holds the values that the rows are in order of, so the next page costs as much as the first, and what comes or goes
/// meanwhile neither shifts nor repeats a row. Good for a query of the same level and conditions only.
public struct CatalogCursor: Sendable, Hashable {
    /// A value that rows are in order of.
    enum Key: Sendable, Hashable {
        case null
        case number(Int64)
        case text(String)
    }

    let keys: [Key]

    init(_ keys: [Key]) { self.keys = keys }

    /// For carrying the cursor through an API: letters, digits, `-`, `_`, `.` and `~`.
    public var text: String {
        keys.map { key in
            switch key {
            case .null: "n"
            case .number(let number): "\(number)"
            case .text(let text): "t" + Self.escaped(text)
            }
        }.joined(separator: "~")
    }

    /// Reads a cursor from its text; `nil` for what is none.
    public init?(text: String) {
        var keys: [Key] = []
        guard text.utf8.count <= 1024 else { return nil }
        for part in text.split(separator: "~", omittingEmptySubsequences: false) {
            if part == "n" {
                keys.append(.null)
            } else if part.first == "t", let text = Self.unescaped(part.dropFirst()) {
                keys.append(.text(text))
            } else if let number = Int64(part) {
                keys.append(.number(number))
            } else {
                return nil
            }
        }
        self.keys = keys
    }

    /// Whatever is no digit, letter or dot as `_XX`, each byte by itself.
    private static func escaped(_ text: String) -> String {
        var result = ""
        for byte in text.utf8 {
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2E: result.unicodeScalars.append(Unicode.Scalar(byte))
            default: result += "_" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
            }
        }
        return result
    }

    private static func unescaped(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "_") {
                guard rest.count >= 2, let digits = String(rest.prefix(2)), let value = UInt8(digits, radix: 16) else {
                    return nil
                }
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }
}

/// A page of the answer to a query.
public struct CatalogRows<Row: Sendable>: Sendable {
    public var rows: [Row]
    /// After each row: where a page that begins with the row behind it would begin.
    public var cursors: [CatalogCursor]
}
