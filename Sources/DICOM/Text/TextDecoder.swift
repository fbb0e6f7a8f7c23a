// SPDX-License-Identifier: Apache-2.0

/// Decodes bytes of one or more repertoires with ISO 2022 code extensions (PS3.5 section 6.1.2).
struct TextDecoder {
    /// What is designated: G0 for bytes below 80H, G1 for those above.
    struct Active {
        /// ASCII, JIS X 0201 or a set of two bytes a character.
        var g0: Repertoire
        /// Nil when nothing has been designated.
        var g1: Repertoire?
        /// What G1 is without any escape sequence.
        private let initialG1: Repertoire?

        init(initial: Repertoire) {
            self.g0 = initial.isWideG0 ? initial : .ascii
            self.initialG1 = initial == .ascii || initial.isWideG0 ? nil : initial
            self.g1 = self.initialG1
        }

        /// Takes `escape`, without ESC; nil for a sequence that DICOM does not have.
        mutating func designate(_ escape: ArraySlice<UInt8>) -> Repertoire? {
            guard let repertoire = Repertoire(escape: escape), let first = escape.first else { return nil }
            if first == UInt8(ascii: "(") || repertoire.isWideG0 {
                // Where G0 is ASCII already, pydicom means the end of what is in G1 by this.
                if repertoire == .ascii, self.g0 == .ascii { self.g1 = self.initialG1 }
                self.g0 = repertoire
                return repertoire
            }
            self.g1 = repertoire
            // By ISO 2022 G0 stays. But writers that know one set at a time leave the two-byte one this way, and pydicom
            // and DCMTK read it so. Katakana does go with kanji.
            if self.g0.isWideG0, repertoire != .japaneseKatakana { self.g0 = .ascii }
            return repertoire
        }
    }

    private let initial: Repertoire
    private let usesExtensions: Bool
    /// In names `^` and `=` end code extensions.
    private let isName: Bool

    init(repertoires: [Repertoire], isName: Bool) {
        self.initial = repertoires.first ?? .ascii
        self.usesExtensions = self.initial.allowsExtensions
        self.isName = isName
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
        guard self.usesExtensions, bytes.contains(0x1B) || self.initial.isWideG0 else {
            return Self.convert(bytes[...], self.initial)
        }
        var result = ""
        self.forEachSegment(of: bytes) { segment, active, _ in result += Self.convert(segment, active) }
        return result
    }

    /// Cuts `bytes` where what is designated changes; escape sequences themselves are left out.
    ///
    /// The last argument is the escape sequence before the segment.
    func forEachSegment(of bytes: [UInt8], _ body: (ArraySlice<UInt8>, Active, Escape) -> Void) {
        var active = Active(initial: self.initial)
        var escape = Escape.none
        var start = 0
        var index = 0
        while index < bytes.count {
            let byte = bytes[index]
            if byte == 0x1B, let length = Self.escapeLength(bytes, at: index) {
                body(bytes[start..<index], active, escape)
                escape = active.designate(bytes[(index + 1)..<(index + length)]).map { .designation($0) } ?? .unknown
                index += length
                start = index
            } else if self.resets(byte, active) {
                body(bytes[start...index], active, escape)
                active = Active(initial: self.initial)
                escape = .none
                index += 1
                start = index
            } else {
                index += 1
            }
        }
        body(bytes[min(start, bytes.count)...], active, escape)
    }

    /// The escape sequence before a segment.
    enum Escape {
        case none
        case designation(Repertoire)
        case unknown
    }

    /// Code extensions end at line ends, and in names at `^` and `=` (PS3.5 section 6.1.2.5.3).
    ///
    /// Values have been split before. Where G0 has two bytes a character the signs may be halves of one.
    private func resets(_ byte: UInt8, _ active: Active) -> Bool {
        switch byte {
        case 0x09, 0x0A, 0x0C, 0x0D: true
        case 0x5E, 0x3D: self.isName && !active.g0.isWideG0
        default: false
        }
    }

    /// Bytes of an escape sequence with its ESC: intermediates 20H to 2FH and one final byte.
    private static func escapeLength(_ bytes: [UInt8], at index: Int) -> Int? {
        var end = index + 1
        while end < bytes.count, bytes[end] >= 0x20, bytes[end] <= 0x2F { end += 1 }
        guard end < bytes.count, end > index + 1, bytes[end] >= 0x30 else { return nil }
        return end + 1 - index
    }

    static func convert(_ bytes: ArraySlice<UInt8>, _ active: Active) -> String {
        let upper = active.g1 ?? .ascii
        guard active.g0.isWideG0 else { return self.convert(bytes, upper) }
        var result = ""
        var start = bytes.startIndex
        while start < bytes.endIndex {
            let isUpper = bytes[start] >= 0x80
            let end = bytes[start...].firstIndex { ($0 >= 0x80) != isUpper } ?? bytes.endIndex
            result += self.convert(bytes[start..<end], isUpper ? upper : active.g0)
            start = end
        }
        return result
    }

    private static func convert(_ bytes: ArraySlice<UInt8>, _ repertoire: Repertoire) -> String {
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
