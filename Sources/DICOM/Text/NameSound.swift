// SPDX-License-Identifier: Apache-2.0

/// How a word of a name sounds, for fuzzy matching (PS3.4 section C.2.2.2.1).
///
/// American Soundex as the US National Archives describe it, but neither padded nor cut to four characters, so that the
/// code of a word's beginning is the beginning of the word's code.
public enum NameSound {
    /// The code of a folded word, of its letters A to Z: `M46` for Müller, Mueller and Miller.
    ///
    /// Nil for a word without such a letter, and for one with digits, which are not pronounced alike.
    public static func code(_ word: some StringProtocol) -> String? {
        var code: [UInt8] = []
        var previous = UInt8(ascii: "0")
        for letter in word.utf8 {
            if (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(letter) { return nil }
            guard let index = Self.index(letter) else { continue }
            let digit = Self.digits[index]
            defer {
                // Letters with the same code are one when they adjoin, also with H or W between them, not with a vowel.
                if digit != UInt8(ascii: "-") { previous = digit }
            }
            if code.isEmpty {
                code.append(letter)
            } else if digit != previous, digit != UInt8(ascii: "0"), digit != UInt8(ascii: "-") {
                code.append(digit)
            }
        }
        return code.isEmpty ? nil : String(decoding: code, as: UTF8.self)
    }

    /// By letter from A: its digit, `0` for a vowel, `-` for H and W.
    private static let digits = Array("0123012-02245501262301-202".utf8)

    private static func index(_ letter: UInt8) -> Int? {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(letter) ? Int(letter - UInt8(ascii: "A")) : nil
    }
}
