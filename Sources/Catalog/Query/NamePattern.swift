// SPDX-License-Identifier: Apache-2.0

import DICOM

/// What a folded name must be like, as SQL compares it.
enum NamePattern {
    /// A folded pattern without the components at its end that match anything; nil when there are none.
    ///
    /// Components that are empty at the end are not written (PS3.5 6.2.1.2): `DOE^*` matches `DOE^JOHN` and `DOE`.
    static func withoutOpenEnd(_ folded: String) -> String? {
        var components = folded.split(separator: "^", omittingEmptySubsequences: false)
        let count = components.count
        while components.count > 1, let last = components.last, last.allSatisfy({ $0 == "*" }) {
            components.removeLast()
        }
        while components.last == "" { components.removeLast() }
        return components.count < count && !components.isEmpty ? components.joined(separator: "^") : nil
    }

    /// A text search query for fuzzy matching; nil when a value has no words, and when it has wildcards elsewhere than
    /// at the end of words: then it is to be matched literally.
    ///
    /// Every word must begin, or sound like, some word of the name, in any order and group. A sound of three characters
    /// or more may be that of a longer word's beginning; shorter ones would match too much.
    static func textSearch(_ value: String) -> String? {
        let words = NameFolding.words(value).prefix(PersonNameKey.maximumWordCount)
        var terms: [String] = []
        for word in words {
            let stem = word.prefix { $0 != "*" }
            guard word.dropFirst(stem.count).allSatisfy({ $0 == "*" }), !stem.contains("?") else { return nil }
            if stem.isEmpty { continue }
            var term = "\(quoted(stem)):*"
            if let sound = NameSound.code(stem)?.lowercased() {
                term = "(\(term) | \(quoted(sound))\(sound.utf8.count >= 3 ? ":*" : ""))"
            }
            terms.append(term)
        }
        return terms.isEmpty ? nil : terms.joined(separator: " & ")
    }

    /// A lexeme of a text search query, in which nothing but it is special.
    private static func quoted(_ word: some StringProtocol) -> String {
        var text = "'"
        for character in word.unicodeScalars {
            if character == "'" || character == "\\" { text.unicodeScalars.append(character) }
            text.unicodeScalars.append(character)
        }
        return text + "'"
    }
}
