// SPDX-License-Identifier: Apache-2.0

/// Decodes bytes of one or more repertoires with ISO 2022 code extensions (PS3.5 section 6.1.2).
struct TextDecoder {
    private let initial: Repertoire
    private let usesExtensions: Bool

    init(repertoires: [Repertoire]) {
        self.initial = repertoires.first ?? .ascii
        self.usesExtensions = self.initial.allowsExtensions
    }

    /// Splits at backslashes that are delimiters: not the second byte of a two-byte character.
    func splitValues(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
        var values: [ArraySlice<UInt8>] = []
        var start = 0
        var index = 0
        var g0IsWide = false
        while index < bytes.count {
            let byte = bytes[index]
            if self.usesExtensions, byte == 0x1B, let length = Self.escapeLength(bytes, at: index) {
                let designated = Repertoire(escape: bytes[(index + 1)..<(index + length)])
                switch designated {
                case .japaneseKanji, .japaneseSupplementary: g0IsWide = true
                case .ascii: g0IsWide = false
                case .japaneseKatakana where bytes[index + 1] == UInt8(ascii: "("): g0IsWide = false
                default: break
                }
                index += length
            } else if g0IsWide, byte >= 0x21, byte < 0x7F {
                index += 2
            } else if !self.usesExtensions, self.initial != .utf8, byte >= 0x81, index + 1 < bytes.count {
                // GBK and GB18030: the second byte of a character may be a backslash.
                index += 2
            } else {
                if byte == 0x5C {
                    values.append(bytes[start..<index])
                    start = index + 1
                }
                index += 1
            }
        }
        values.append(bytes[min(start, bytes.count)...])
        return values
    }

    func decode(_ bytes: [UInt8]) -> String {
        guard self.usesExtensions, bytes.contains(0x1B) else {
            return Self.convert(bytes[...], self.initial)
        }
        var result = ""
        self.forEachSegment(of: bytes) { segment, repertoire, _ in result += Self.convert(segment, repertoire) }
        return result
    }

    /// Cuts `bytes` where the repertoire changes; escape sequences themselves are left out.
    ///
    /// The last argument is the escape sequence before the segment.
    func forEachSegment(of bytes: [UInt8], _ body: (ArraySlice<UInt8>, Repertoire, Escape) -> Void) {
        var current = self.initial
        var escape = Escape.none
        var start = 0
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte == 0x1B, let length = Self.escapeLength(bytes, at: index) {
                body(bytes[start..<index], current, escape)
                if let designated = Repertoire(escape: bytes[(index + 1)..<(index + length)]) {
                    current = designated
                    escape = .designation(designated)
                } else {
                    escape = .unknown
                }
                index += length
                start = index
            } else if Self.resets(byte), !Self.isWideG0(current) {
                body(bytes[start...index], current, escape)
                current = self.initial
                escape = .none
                index += 1
                start = index
            } else {
                index += 1
            }
        }
        body(bytes[min(start, bytes.count)...], current, escape)
    }

    /// The escape sequence before a segment.
    enum Escape {
        case none
        case designation(Repertoire)
        case unknown
    }

    /// Code extensions end at line ends, `^`, `=` and the value delimiter (PS3.5 section 6.1.2.5.3).
    private static func resets(_ byte: UInt8) -> Bool {
        byte == 0x0A || byte == 0x0D || byte == 0x0C || byte == 0x09 || byte == 0x5E || byte == 0x3D || byte == 0x5C
    }

    private static func isWideG0(_ repertoire: Repertoire) -> Bool {
        repertoire == .japaneseKanji || repertoire == .japaneseSupplementary
    }

    /// Bytes of an escape sequence with its ESC: intermediates 20H to 2FH and one final byte.
    private static func escapeLength(_ bytes: [UInt8], at index: Int) -> Int? {
        var end = index + 1
        while end < bytes.count, bytes[end] >= 0x20, bytes[end] <= 0x2F { end += 1 }
        guard end < bytes.count, end > index + 1, bytes[end] >= 0x30 else { return nil }
        return end + 1 - index
    }

    static func convert(_ bytes: ArraySlice<UInt8>, _ repertoire: Repertoire) -> String {
        guard !bytes.isEmpty else { return "" }
        switch repertoire {
        case .utf8: return String(decoding: bytes, as: UTF8.self)
        case .ascii, .latin1: return self.latin1(bytes)
        case .singleByte(let name): return CharacterConversion.convert(Array(bytes), from: name) ?? self.latin1(bytes)
        case .japaneseKatakana: return self.katakana(bytes)
        case .japaneseKanji: return self.designated(bytes, high: true, prefix: [], from: "EUC-JP")
        case .japaneseSupplementary: return self.designated(bytes, high: true, prefix: [0x8F], from: "EUC-JP")
        case .korean: return CharacterConversion.convert(Array(bytes), from: "EUC-KR") ?? self.latin1(bytes)
        case .simplifiedChinese: return CharacterConversion.convert(Array(bytes), from: "GBK") ?? self.latin1(bytes)
        case .gb18030: return CharacterConversion.convert(Array(bytes), from: "GB18030") ?? self.latin1(bytes)
        case .gbk: return CharacterConversion.convert(Array(bytes), from: "GBK") ?? self.latin1(bytes)
        }
    }

    /// G0 pairs as EUC: the high bit set, a shift before each pair where the set needs one.
    private static func designated(
        _ bytes: ArraySlice<UInt8>,
        high: Bool,
        prefix: [UInt8],
        from name: String
    ) -> String {
        var euc: [UInt8] = []
        var index = bytes.startIndex
        while index < bytes.endIndex {
            let byte = bytes[index]
            if byte >= 0x21, byte < 0x7F, index + 1 < bytes.endIndex {
                euc += prefix
                euc.append(byte | 0x80)
                euc.append(bytes[index + 1] | 0x80)
                index += 2
            } else {
                euc.append(byte & 0x7F)
                index += 1
            }
        }
        return CharacterConversion.convert(euc, from: name) ?? self.latin1(bytes)
    }

    /// JIS X 0201, where A1H to DFH are U+FF61 onwards.
    ///
    /// The backslash and the tilde stay themselves, as toolkits do it.
    private static func katakana(_ bytes: ArraySlice<UInt8>) -> String {
        var scalars = String.UnicodeScalarView()
        for byte in bytes {
            let isKana = byte >= 0xA1 && byte <= 0xDF
            let value = isKana ? 0xFF61 + UInt32(byte - 0xA1) : UInt32(byte)
            scalars.append(Unicode.Scalar(value) ?? "\u{FFFD}")
        }
        return String(scalars)
    }

    private static func latin1(_ bytes: ArraySlice<UInt8>) -> String {
        var scalars = String.UnicodeScalarView()
        for byte in bytes { scalars.append(Unicode.Scalar(byte)) }
        return String(scalars)
    }
}
