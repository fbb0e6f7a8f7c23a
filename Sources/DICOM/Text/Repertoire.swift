// SPDX-License-Identifier: Apache-2.0

/// A character repertoire DICOM has a term for (PS3.3 section C.12.1.1.2).
enum Repertoire: Hashable, Sendable {
    case ascii
    case latin1
    /// One byte a character in G1, decoded by iconv under this name.
    case singleByte(String)
    /// JIS X 0201: half-width katakana in G1.
    case japaneseKatakana
    /// JIS X 0208 in G0.
    case japaneseKanji
    /// JIS X 0212 in G0.
    case japaneseSupplementary
    /// KS X 1001 in G1.
    case korean
    /// GB 2312 in G1.
    case simplifiedChinese
    case utf8
    case gb18030
    case gbk

    var allowsExtensions: Bool {
        switch self {
        case .utf8, .gb18030, .gbk: false
        default: true
        }
    }

    /// Two bytes a character in G0, where delimiters are.
    var isWideG0: Bool { self == .japaneseKanji || self == .japaneseSupplementary }

    /// Looks a defined term up, tolerant of case, spaces for underscores, missing and doubled separators.
    init(term: some Sequence<UInt8>) {
        var key = Self.key(of: term)
        if key.hasPrefix("ISO2022IR") {
            key = "ISOIR" + key.dropFirst(9)
        }
        self = Self.terms[key] ?? (key.isEmpty ? .ascii : .latin1)
    }

    private static func key(of term: some Sequence<UInt8>) -> String {
        var key = ""
        for byte in term where byte != 0x20 && byte != 0x5F && byte != 0x2D && byte != 0 {
            let isSmall = (0x61...0x7A).contains(byte)
            key.unicodeScalars.append(Unicode.Scalar(isSmall ? byte - 0x20 : byte))
        }
        return key
    }

    /// The defined term that `term` is, or is taken for; nil for one that means nothing.
    static func definedTerm(for term: String) -> String? {
        let key = self.key(of: term.utf8)
        let isExtension = key.hasPrefix("ISO2022IR")
        let plain = isExtension ? "ISOIR" + key.dropFirst(9) : key
        guard let repertoire = Self.terms[plain] else { return nil }
        switch repertoire {
        case .utf8: return "ISO_IR 192"
        case .gb18030: return "GB18030"
        case .gbk: return "GBK"
        default: break
        }
        guard let number = Self.numbers[repertoire] else { return nil }
        // Sets of two bytes a character have no term without code extensions.
        let isWide = ["58", "87", "149", "159"].contains(number)
        return (isExtension || isWide ? "ISO 2022 IR " : "ISO_IR ") + number
    }

    /// Registration numbers (ISO-IR) of the repertoires that have one.
    private static let numbers: [Repertoire: String] = {
        var numbers: [Repertoire: String] = [:]
        for (key, repertoire) in Self.terms where key.hasPrefix("ISOIR") && key != "ISOIR14" {
            numbers[repertoire] = String(key.dropFirst(5))
        }
        return numbers
    }()

    private static let terms: [String: Repertoire] = [
        "ISOIR6": .ascii, "ISOIR100": .latin1, "ISO88591": .latin1,
        "ISOIR101": .singleByte("ISO-8859-2"), "ISO88592": .singleByte("ISO-8859-2"),
        "ISOIR109": .singleByte("ISO-8859-3"), "ISO88593": .singleByte("ISO-8859-3"),
        "ISOIR110": .singleByte("ISO-8859-4"), "ISO88594": .singleByte("ISO-8859-4"),
        "ISOIR144": .singleByte("ISO-8859-5"), "ISO88595": .singleByte("ISO-8859-5"),
        "ISOIR127": .singleByte("ISO-8859-6"), "ISO88596": .singleByte("ISO-8859-6"),
        "ISOIR126": .singleByte("ISO-8859-7"), "ISO88597": .singleByte("ISO-8859-7"),
        "ISOIR138": .singleByte("ISO-8859-8"), "ISO88598": .singleByte("ISO-8859-8"),
        "ISOIR148": .singleByte("ISO-8859-9"), "ISO88599": .singleByte("ISO-8859-9"),
        "ISOIR203": .singleByte("ISO-8859-15"), "ISO885915": .singleByte("ISO-8859-15"),
        "ISOIR166": .singleByte("TIS-620"), "ISO885911": .singleByte("TIS-620"),
        "ISOIR13": .japaneseKatakana, "ISOIR14": .japaneseKatakana,
        "ISOIR87": .japaneseKanji, "ISOIR159": .japaneseSupplementary,
        "ISOIR149": .korean, "ISOIR58": .simplifiedChinese,
        "ISOIR192": .utf8, "UTF8": .utf8, "ISO10646UTF8": .utf8,
        "GB18030": .gb18030, "GBK": .gbk, "GB2312": .gbk,
    ]

    /// The repertoire an escape sequence designates (PS3.3 tables C.12-3 and C.12-4); nil for one DICOM has not.
    init?(escape: ArraySlice<UInt8>) {
        guard let found = Self.escapes[Array(escape)] else { return nil }
        self = found
    }

    /// The bytes after ESC.
    private static let escapes: [[UInt8]: Repertoire] = [
        Array("(B".utf8): .ascii, Array("(J".utf8): .japaneseKatakana, Array(")I".utf8): .japaneseKatakana,
        Array("-A".utf8): .latin1, Array("-B".utf8): .singleByte("ISO-8859-2"),
        Array("-C".utf8): .singleByte("ISO-8859-3"), Array("-D".utf8): .singleByte("ISO-8859-4"),
        Array("-L".utf8): .singleByte("ISO-8859-5"), Array("-G".utf8): .singleByte("ISO-8859-6"),
        Array("-F".utf8): .singleByte("ISO-8859-7"), Array("-H".utf8): .singleByte("ISO-8859-8"),
        Array("-M".utf8): .singleByte("ISO-8859-9"), Array("-b".utf8): .singleByte("ISO-8859-15"),
        Array("-T".utf8): .singleByte("TIS-620"),
        Array("$B".utf8): .japaneseKanji, Array("$@".utf8): .japaneseKanji, Array("$(D".utf8): .japaneseSupplementary,
        Array("$)C".utf8): .korean, Array("$)A".utf8): .simplifiedChinese,
    ]
}
