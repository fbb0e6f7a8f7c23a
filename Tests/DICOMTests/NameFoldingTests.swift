// SPDX-License-Identifier: Apache-2.0

import DICOM
import Testing

/// Names as they are compared when searching.
@Suite struct NameFoldingTests {
    @Test(
        arguments: [
            // Case and diacritics, composed and not; Latin, Greek, Cyrillic.
            ("Müller^Änne", "MULLER^ANNE"), ("mu\u{308}ller", "MULLER"), ("Łukasiewicz^Żółć", "LUKASIEWICZ^ZOLC"),
            ("Sørensen^Åse", "SORENSEN^ASE"), ("Strauß", "STRAUSS"), ("STRAUẞ", "STRAUSS"),
            ("Æsir^Œuvre", "AESIR^OEUVRE"),
            ("Nguyễn^Đức", "NGUYEN^DUC"), ("Þór^Guðmundur", "THOR^GUDMUNDUR"), ("İnan^Işık", "INAN^ISIK"),
            ("ınan", "INAN"), ("Παπαδόπουλος^Ιωάννης", "ΠΑΠΑΔΟΠΟΥΛΟΣ^ΙΩΑΝΝΗΣ"), ("Алёна^Андрей", "АЛЕНА^АНДРЕИ"),
            ("أحمد", "احمد"), ("מֹשֶׁה", "משה"),
            // Not folded: ue is two vowels of Samuel, and other scripts' vowel signs are no diacritics.
            ("Mueller", "MUELLER"), ("Samuel", "SAMUEL"), ("हिन्दी", "हिन्दी"),
            // Full width, half width, katakana and hiragana, sound marks together and apart.
            ("Ｙａｍａｄａ＾", "YAMADA＾"), ("ＹＡＭＡＤＡ^ＴＡＲＯＵ", "YAMADA^TAROU"), ("ﾔﾏﾀﾞ^ﾀﾛｳ", "やまだ^たろう"),
            ("ヤマダ^タロウ", "やまだ^たろう"), ("やまた\u{3099}^たろう", "やまだ^たろう"), ("ﾊﾟﾌﾞﾛ", "ぱぶろ"),
            ("ヴィンセント", "ゔぃんせんと"), ("ｻﾄｰ", "さとー"), ("山田^太郎", "山田^太郎"),
            ("\u{1112}\u{1169}\u{11BC}^\u{1100}\u{1175}\u{11AF}\u{1103}\u{1169}\u{11BC}", "홍^길동"), ("Ⅲ", "III"),
            ("ﬁsher", "FISHER"),
            // One ideograph that Unicode has twice, one with a variation selector.
            ("\u{FA19}", "\u{795E}"), ("辻\u{E0101}", "辻"),
            // Punctuation and spaces.
            ("O'Brien", "OBRIEN"), ("O’Brien", "OBRIEN"), ("O`Brien", "OBRIEN"),
            ("Müller-Lüdenscheidt", "MULLER LUDENSCHEIDT"), ("Muller  Ludenscheidt", "MULLER LUDENSCHEIDT"),
            ("Müller–Lüdenscheidt", "MULLER LUDENSCHEIDT"), ("St. John^ J.", "ST JOHN^J"), ("マリア・ルイサ", "まりあ るいさ"),
            ("山田　太郎", "山田 太郎"), (" Doe ^  John ", "DOE^JOHN"), ("Doe\u{A0}-^-John", "DOE^JOHN"),
            // Components: empty ones at the end, commas.
            ("DOE^JOHN^^^", "DOE^JOHN"), ("DOE^^^DR", "DOE^^^DR"), ("^JOHN", "^JOHN"), ("^^ ^", ""), ("", ""),
            ("...", ""),
            ("Doe, John", "DOE^JOHN"), ("Doe,John", "DOE^JOHN"), ("Doe , John, Jr.", "DOE^JOHN JR"),
            ("Doe，John", "DOE^JOHN"),
            ("Doe,", "DOE"), ("Doe^John^^^MD, PhD", "DOE^JOHN^^^MD PHD"),
            // Patterns: wildcards pass, and never arise.
            ("m?ller*", "M?LLER*"), ("doe, j*", "DOE^J*"), ("*, john", "*^JOHN"), ("Müller-*", "MULLER *"), ("*", "*"),
            ("＊^？", "＊^？"), ("a＼b＝c", "A＼B＝C"),
        ]
    )
    func `folds a group`(_ name: String, _ folded: String) {
        let result = NameFolding.fold(name)
        // By scalars: Swift takes canonically equivalent texts for equal, Postgres does not.
        #expect(Array(result.unicodeScalars) == Array(folded.unicodeScalars), "\(result)")
        #expect(Array(NameFolding.fold(result).unicodeScalars) == Array(result.unicodeScalars), "folding twice")
    }

    @Test func `folding any text twice is folding it once, and makes no wildcards or delimiters`() {
        let meaningful: Set<Unicode.Scalar> = ["*", "?", "=", "\\"]
        for value in UInt32(0x20)...0xFFFF {
            guard let scalar = Unicode.Scalar(value) else { continue }
            let folded = NameFolding.fold("A^" + String(Character(scalar)))
            #expect(
                NameFolding.fold(folded).unicodeScalars.elementsEqual(folded.unicodeScalars),
                "U+\(String(value, radix: 16))"
            )
            if !meaningful.contains(scalar) {
                #expect(!folded.unicodeScalars.contains { meaningful.contains($0) }, "U+\(String(value, radix: 16))")
            }
        }
    }

    @Test func `canonically equivalent names of Latin, Greek and Cyrillic letters fold alike`() {
        // Swift's characters compare canonically: each letter with a combining mark that is one letter of its own too.
        var composed: [Character: Character] = [:]
        for value in Array(UInt32(0xC0)...0x24F) + Array(0x386...0x3CE) + Array(0x400...0x4F9) + Array(0x1E00...0x1EF9)
        {
            guard let scalar = Unicode.Scalar(value) else { continue }
            composed[Character(scalar)] = Character(scalar)
        }
        let bases = (Array(UInt32(0x41)...0x7A) + Array(0x391...0x3C9) + Array(0x410...0x44F)).compactMap(
            Unicode.Scalar.init
        )
        var count = 0
        for base in bases {
            for mark in UInt32(0x300)...0x345 {
                guard let mark = Unicode.Scalar(mark) else { continue }
                var apart = String.UnicodeScalarView([base])
                apart.append(mark)
                guard let letter = composed[Character(String(apart))] else { continue }
                count += 1
                #expect(NameFolding.fold(String(letter)) == NameFolding.fold(String(apart)), "\(letter)")
            }
        }
        #expect(count > 300)
    }

    @Test func `words are those of all groups`() {
        #expect(
            NameFolding.words("Yamada-Smith^Tarou=山田^太郎=やまだ^たろう") == [
                "YAMADA", "SMITH", "TAROU", "山田", "太郎", "やまだ", "たろう",
            ]
        )
        #expect(NameFolding.words("^^ = =").isEmpty)
    }

    /// The examples of the US National Archives, of their fourth character on as long as there are sounds.
    @Test(
        arguments: [
            ("WASHINGTON", "W25235"), ("LEE", "L"), ("GUTIERREZ", "G362"), ("PFISTER", "P236"), ("JACKSON", "J25"),
            ("TYMCZAK", "T522"), ("VANDEUSEN", "V5325"), ("ASHCRAFT", "A2613"), ("MULLER", "M46"), ("MUELLER", "M46"),
            ("SMITH", "S53"), ("SCHMIDT", "S53"), ("STEPHEN", "S315"), ("STEVEN", "S315"), ("GONZALEZ", "G5242"),
            ("GONZALES", "G5242"), ("III", "I"), ("H", "H"),
        ]
    )
    func `sounds`(_ word: String, _ code: String) {
        #expect(NameSound.code(word) == code)
    }

    @Test func `a word without Latin letters has no sound`() {
        #expect(NameSound.code("山田") == nil)
        #expect(NameSound.code("") == nil)
        #expect(NameSound.code("42") == nil)
        #expect(NameSound.code("PERSON03") == nil)
    }
}
