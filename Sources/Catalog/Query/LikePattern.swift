// SPDX-License-Identifier: Apache-2.0

/// Turns DICOM wildcards into an SQL LIKE pattern (PS3.4 C.2.2.2.4): `*` any characters, `?` one character; what LIKE
/// takes for special is literal.
enum LikePattern {
    /// The LIKE pattern, with `\` as the escape character (LIKE's default).
    static func like(_ wildcard: String) -> String {
        var pattern = ""
        for character in wildcard.unicodeScalars {
            switch character {
            case "*": if pattern.last != "%" || pattern.hasSuffix("\\%") { pattern += "%" }
            case "?": pattern += "_"
            case "\\", "%", "_": pattern += "\\" + String(character)
            default: pattern.unicodeScalars.append(character)
            }
        }
        return pattern
    }

    /// Whether the text has a wildcard at all.
    static func hasWildcard(_ text: String) -> Bool {
        text.utf8.contains { $0 == UInt8(ascii: "*") || $0 == UInt8(ascii: "?") }
    }
}
