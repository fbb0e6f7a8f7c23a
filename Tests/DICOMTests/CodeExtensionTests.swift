// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Testing

/// Code extensions (PS3.5 section 6.1.2.5) for every term of PS3.3 table C.12-3 and C.12-4.
@Suite struct CodeExtensionTests {
    struct Term: Sendable, CustomTestStringConvertible {
        let number: Int
        /// After ESC.
        let escape: String
        let bytes: [UInt8]
        let text: String

        init(_ number: Int, _ escape: String, _ bytes: [UInt8], _ text: String) {
            (self.number, self.escape, self.bytes, self.text) = (number, escape, bytes, text)
        }

        var testDescription: String { "ISO 2022 IR \(self.number)" }
        var isWide: Bool { self.escape == "$B" || self.escape == "$(D" }
        var designated: [UInt8] { [0x1B] + Array(self.escape.utf8) + self.bytes }
    }

    static let terms: [Term] = [
        Term(100, "-A", [0xE9, 0xFC], "éü"), Term(101, "-B", [0xB3, 0xE6], "łć"), Term(109, "-C", [0xC6, 0xD8], "ĈĜ"),
        Term(110, "-D", [0xE0, 0xB6], "āļ"), Term(144, "-L", [0xBB, 0xEE], "Лю"), Term(127, "-G", [0xE2, 0xC8], "قب"),
        Term(126, "-F", [0xC4, 0xE9], "Δι"), Term(138, "-H", [0xF9, 0xF8], "שר"), Term(148, "-M", [0xF0, 0xFD], "ğı"),
        Term(203, "-b", [0xA4, 0xA6], "€Š"), Term(166, "-T", [0xA1, 0xD2], "กา"), Term(13, ")I", [0xD4, 0xCF], "ﾔﾏ"),
        Term(87, "$B", [0x3B, 0x33, 0x45, 0x44], "山田"), Term(159, "$(D", [0x30, 0x21], "丂"),
        Term(149, "$)C", [0xFB, 0xF3, 0xD1, 0xCE], "洪吉"), Term(58, "$)A", [0xD5, 0xC5, 0xD0, 0xA1], "张小"),
    ]

    private func decode(_ terms: String, _ bytes: [UInt8], _ vr: VR = .pn) -> [String] {
        var dataSet = DataSet()
        dataSet.set(.specificCharacterSet, .cs, terms)
        dataSet.set(DataElement(tag: .patientName, vr: vr, value: .bytes(ByteBuffer(bytes: bytes))))
        return dataSet.strings(.patientName)
    }

    @Test(arguments: terms)
    func asAnExtensionOfTheDefault(term: Term) {
        let back: [UInt8] = term.isWide ? [0x1B, 0x28, 0x42] : []
        let bytes = Array("A".utf8) + term.designated + back + Array("z".utf8)
        #expect(self.decode("\\ISO 2022 IR \(term.number)", bytes) == ["A\(term.text)z"])
    }

    @Test(arguments: terms)
    func asTheFirstTermAndAlone(term: Term) {
        guard !term.isWide, ![149, 58].contains(term.number) else { return }
        for first in [
            "ISO_IR \(term.number)", "ISO 2022 IR \(term.number)", "ISO 2022 IR \(term.number)\\ISO 2022 IR 87",
        ] {
            #expect(self.decode(first, term.bytes + Array("^z".utf8)) == ["\(term.text)^z"])
        }
    }

    /// After a delimiter what Value 1 names holds again, though nothing switched back.
    @Test(arguments: terms)
    func resetsInNames(term: Term) {
        let back: [UInt8] = term.isWide ? [0x1B, 0x28, 0x42] : []
        // Where value 1 is Greek a bare CAH is kappa again.
        for delimiter in ["^", "=", "\\"] {
            let bytes = term.designated + back + Array(delimiter.utf8) + [0xEA]
            let expected = "\(term.text)\(delimiter)κ"
            let values = self.decode("ISO 2022 IR 126\\ISO 2022 IR \(term.number)", bytes)
            #expect(values.joined(separator: "\\") == expected)
            #expect(values.count == (delimiter == "\\" ? 2 : 1))
        }
    }

    @Test(arguments: terms)
    func resetsAtLineEnds(term: Term) {
        for control in [0x0A, 0x0D, 0x0C, 0x09] as [UInt8] {
            let bytes = term.designated + [control, 0xEA]
            let character = Unicode.Scalar(control)
            #expect(
                self.decode("ISO 2022 IR 126\\ISO 2022 IR \(term.number)", bytes, .lt) == ["\(term.text)\(character)κ"]
            )
        }
    }

    @Test func caretsAndEqualSignsResetInNamesOnly() {
        let bytes: [UInt8] = [0x1B, 0x2D, 0x4C, 0xBB, 0x5E, 0xBB, 0x3D, 0xBB]
        #expect(self.decode("\\ISO 2022 IR 144", bytes, .lo) == ["Л^Л=Л"])
        #expect(self.decode("ISO 2022 IR 100\\ISO 2022 IR 144", bytes) == ["Л^»=»"])
    }

    @Test func aBackslashInLongTextIsACharacter() {
        let bytes: [UInt8] = [0x1B, 0x2D, 0x4C, 0xBB, 0x5C, 0xBB]
        #expect(self.decode("\\ISO 2022 IR 144", bytes, .lt) == ["Л\\Л"])
    }

    @Test func theUpperHalfStaysWhileTheLowerChanges() {
        // Katakana in G1 beside kanji and Latin letters in G0.
        let bytes = [0xD4] + Array("\u{1B}$B;3".utf8) + [0xCF] + Array("\u{1B}(BA".utf8) + [0xCF]
        #expect(self.decode("ISO 2022 IR 13\\ISO 2022 IR 87", bytes) == ["ﾔ山ﾏAﾏ"])
    }

    @Test func signsWithinKanjiAreHalvesOfCharacters() {
        // 3D and 5E occur as second bytes: 十 is 3D 3D, 聖 is 40 3B, 昭 is 3E 3C; 5C 5E is one character.
        let bytes = Array("\u{1B}$B==>^\u{1B}(B^x".utf8)
        let values = self.decode("\\ISO 2022 IR 87", bytes)
        #expect(values.count == 1)
        #expect(values.first?.unicodeScalars.count == 4)
        #expect(values.first?.hasPrefix("十") == true)
        #expect(values.first?.hasSuffix("^x") == true)
    }

    @Test(
        arguments: [
            ("ISO_IR 192", Array("王\\é".utf8), ["王", "é"]),
            ("GB18030", [0xCD, 0xF5, 0x5C, 0x81, 0x30, 0x89, 0x37], ["王", "Þ"]),
            ("GBK", [0xCD, 0xF5, 0x5C, 0xD0, 0xA1], ["王", "小"]), ("ISO_IR 192\\ISO 2022 IR 87", Array("王".utf8), ["王"]),
            ("GBK\\ISO 2022 IR 149", [0xCD, 0xF5], ["王"]),
        ] as [(String, [UInt8], [String])]
    )
    func setsThatTakeNoExtensions(terms: String, bytes: [UInt8], expected: [String]) {
        #expect(self.decode(terms, bytes) == expected)
    }

    @Test(arguments: [
        "ISO_IR 144", "ISO IR 144", "ISO-IR 144", "ISO_IR_144", "ISOIR144", "iso_ir 144", "ISO_IR  144", " ISO_IR 144 ",
        "ISO 8859-5", "ISO-8859-5", "ISO 2022 IR 144", "ISO-2022-IR-144", "ISO_2022_IR_144", "ISO2022IR144",
    ])
    func misspeltTerms(term: String) {
        #expect(self.decode(term, [0xBB, 0xEE]) == ["Лю"])
    }

    @Test func threeGroupsOfOneName() {
        var dataSet = DataSet()
        dataSet.set(.specificCharacterSet, .cs, "\\ISO 2022 IR 149")
        let bytes =
            Array("Hong^Gildong=".utf8) + Self.bytes(149, [0xFB, 0xF3]) + [0x5E]
            + Self.bytes(149, [0xD1, 0xCE, 0xD4, 0xD7]) + [0x3D] + Self.bytes(149, [0xC8, 0xAB]) + [0x5E]
            + Self.bytes(149, [0xB1, 0xE6, 0xB5, 0xBF])
        dataSet.set(DataElement(tag: .patientName, vr: .pn, value: .bytes(ByteBuffer(bytes: bytes))))
        let name = dataSet.personName(.patientName)
        #expect(name?.alphabetic.given == "Gildong")
        #expect(name?.ideographic.family == "洪")
        #expect(name?.ideographic.given == "吉洞")
        #expect(name?.phonetic.family == "홍")
        #expect(name?.phonetic.given == "길동")
    }

    private static func bytes(_ number: Int, _ bytes: [UInt8]) -> [UInt8] {
        let escape = self.terms.first { $0.number == number }?.escape ?? ""
        return [0x1B] + Array(escape.utf8) + bytes
    }
}
