// SPDX-License-Identifier: Apache-2.0

/// Person names (PS3.5 section 6.2.1) as they are compared when searching (PS3.4 section C.2.2.2.1).
///
/// Upper case, without diacritics, apostrophes and full width forms, hiragana for katakana, hyphens and dots as spaces.
/// `ue` is not folded to `u`: Samuel is not Samul. Two names that fold alike are one name to an operator who searches;
/// what is stored and returned stays as it came. Changing what this does needs a catalog migration that folds again.
public enum NameFolding {
    /// Folds one component group, or a pattern for one: `*` and `?` pass through, and never arise from other characters.
    ///
    /// Components are trimmed, and empty ones at the end left out. A group without `^` that has a comma is read as family
    /// name and the rest ("DOE, JOHN").
    public static func fold(_ group: some StringProtocol) -> String {
        var folded = Folded(hasComponents: group.unicodeScalars.contains("^"))
        for scalar in group.unicodeScalars { folded.append(scalar) }
        return folded.finish()
    }

    /// The words of a name's groups, folded: what stands between spaces and carets.
    public static func words(_ name: some StringProtocol) -> [String] {
        name.split(separator: "=").flatMap { fold($0).split { $0 == " " || $0 == "^" }.map { String($0) } }
    }

    /// Full width forms that would turn into characters with a meaning: `*`, `=`, `?`, `\`, `^`.
    private static let keptForms: Set<UInt32> = [0xFF0A, 0xFF1D, 0xFF1F, 0xFF3C, 0xFF3E]

    /// What one character is folded to; nil when it is left out.
    fileprivate static func simplified(_ scalar: Unicode.Scalar) -> Unicode.Scalar? {
        switch scalar.value {
        // Diacritics: combining marks, variation selectors, Arabic and Hebrew points. Vowel signs of other scripts stay.
        case 0x0300...0x036F, 0x1AB0...0x1AFF, 0x1DC0...0x1DFF, 0x20D0...0x20FF, 0xFE00...0xFE0F, 0xFE20...0xFE2F,
            0xE0100...0xE01EF, 0x0640, 0x064B...0x065F, 0x0670, 0x0591...0x05BD, 0x05BF, 0x05C1...0x05C2,
            0x05C4...0x05C5, 0x05C7:
            nil
        // Apostrophes and quotation marks; characters without width.
        case 0x22, 0x27, 0x60, 0xB4, 0x02B9...0x02BF, 0x2018...0x201F, 0x2032...0x2033, 0xA78C, 0xFF02, 0xFF07, 0xFF40,
            0x00, 0xAD, 0x200B...0x200F, 0x2060, 0xFEFF:
            nil
        // Controls, spaces, hyphens and dashes, dots.
        case 0x01...0x20, 0x2D, 0x2E, 0x7F...0xA0, 0xB7, 0x2000...0x200A, 0x2010...0x2015, 0x2027...0x2029, 0x202F,
            0x205F, 0x2212, 0x3000...0x3002, 0x30FB, 0xFF0D, 0xFF0E, 0xFF61, 0xFF64, 0xFF65:
            " "
        // The sound marks of kana by themselves, wide and half width: as the combining ones.
        case 0x309B, 0xFF9E: "\u{3099}"
        case 0x309C, 0xFF9F: "\u{309A}"
        // Katakana to hiragana, but the four letters that hiragana lacks.
        case 0x30A1...0x30F6: Unicode.Scalar(scalar.value - 0x60)
        case 0x30FD, 0x30FE: Unicode.Scalar(scalar.value - 0x60)
        case 0xFF70: "\u{30FC}"
        // Full width Latin, digits and punctuation.
        case 0xFF01...0xFF5E where !keptForms.contains(scalar.value): Unicode.Scalar(scalar.value - 0xFEE0)
        default: scalar
        }
    }

    /// The one letter for a hiragana and a combining sound mark behind it; nil when there is none.
    fileprivate static func composed(_ kana: Unicode.Scalar, _ mark: Unicode.Scalar) -> Unicode.Scalar? {
        let isVoiced = mark == "\u{3099}"
        return switch kana.value {
        case 0x3046 where isVoiced: "\u{3094}"
        case 0x304B...0x3061 where isVoiced && kana.value % 2 == 1: Unicode.Scalar(kana.value + 1)
        case 0x3064, 0x3066, 0x3068: isVoiced ? Unicode.Scalar(kana.value + 1) : nil
        case 0x306F, 0x3072, 0x3075, 0x3078, 0x307B: Unicode.Scalar(kana.value + (isVoiced ? 1 : 2))
        case 0x309D where isVoiced: "\u{309E}"
        default: nil
        }
    }

    /// The Hangul syllable of one before and a letter behind it (Unicode section 3.12); nil when they make none.
    fileprivate static func syllable(_ before: Unicode.Scalar, _ letter: Unicode.Scalar) -> Unicode.Scalar? {
        switch (before.value, letter.value) {
        case (0x1100...0x1112, 0x1161...0x1175):
            Unicode.Scalar(0xAC00 + ((before.value - 0x1100) * 21 + letter.value - 0x1161) * 28)
        case (0xAC00...0xD7A3, 0x11A8...0x11C2) where (before.value - 0xAC00) % 28 == 0:
            Unicode.Scalar(before.value + letter.value - 0x11A7)
        default: nil
        }
    }

    /// Letters by what is left of them: see the generator.
    fileprivate static let letters: [Unicode.Scalar: [Unicode.Scalar]] = {
        var letters: [Unicode.Scalar: [Unicode.Scalar]] = [:]
        for line in NameFoldingText.letters.unicodeScalars.split(separator: "\n") {
            let parts = line.split(separator: " ")
            guard parts.count == 2 else { continue }
            for letter in parts[1] { letters[letter] = Array(parts[0]) }
        }
        return letters
    }()

    /// A group while it is folded, character by character.
    private struct Folded {
        private let hasComponents: Bool
        private var hasComma = false
        private var scalars: [Unicode.Scalar] = []

        init(hasComponents: Bool) {
            self.hasComponents = hasComponents
        }

        mutating func append(_ scalar: Unicode.Scalar) {
            if scalar.isASCII {
                self.appendSimple(scalar.properties.uppercaseMapping.unicodeScalars.first ?? scalar)
                return
            }
            guard let simple = NameFolding.simplified(scalar) else { return }
            for upper in simple.properties.uppercaseMapping.unicodeScalars {
                if let letters = NameFolding.letters[upper] {
                    for letter in letters { self.appendSimple(letter) }
                } else {
                    self.appendSimple(upper)
                }
            }
        }

        private mutating func appendSimple(_ scalar: Unicode.Scalar) {
            // Again, because upper case may bring marks of its own.
            guard let scalar = NameFolding.simplified(scalar) else { return }
            switch scalar {
            case ",":
                self.append(separator: self.hasComponents || self.hasComma ? " " : "^")
                self.hasComma = true
            case " ", "^": self.append(separator: scalar)
            case "\u{3099}", "\u{309A}":
                if let last = self.scalars.last, let letter = NameFolding.composed(last, scalar) {
                    self.scalars[self.scalars.count - 1] = letter
                } else {
                    self.scalars.append(scalar)
                }
            case "\u{1161}"..."\u{11C2}":
                if let last = self.scalars.last, let syllable = NameFolding.syllable(last, scalar) {
                    self.scalars[self.scalars.count - 1] = syllable
                } else {
                    self.scalars.append(scalar)
                }
            default: self.scalars.append(scalar)
            }
        }

        /// Spaces at the ends of components and repeated ones mean nothing (PS3.5 section 6.2).
        private mutating func append(separator: Unicode.Scalar) {
            if separator == " " {
                if self.scalars.isEmpty || self.scalars.last == " " || self.scalars.last == "^" { return }
            } else if self.scalars.last == " " {
                self.scalars.removeLast()
            }
            self.scalars.append(separator)
        }

        mutating func finish() -> String {
            while self.scalars.last == " " || self.scalars.last == "^" { self.scalars.removeLast() }
            var text = String.UnicodeScalarView()
            text.append(contentsOf: self.scalars)
            return String(text)
        }
    }
}
