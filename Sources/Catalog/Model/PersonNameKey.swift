// SPDX-License-Identifier: Apache-2.0

import DICOM

/// A person's name (PS3.5 6.2.1) folded for searching (`NameFolding`), group by group, and its words for fuzzy matching.
///
/// Folding is done here rather than by the database, so that it is the same under every server's locale.
struct PersonNameKey: Hashable, Sendable {
    /// The alphabetic, or only, component group.
    let alphabetic: String
    let ideographic: String
    let phonetic: String
    /// Each word of the groups, and how it sounds, with spaces between them: what `tsvector` columns hold.
    ///
    /// Sounds are in lower case, which folded words are not, so that the two are told apart.
    let words: String

    /// The most words of a name: those after them are not found by fuzzy matching.
    static let maximumWordCount = 64

    init(_ name: String) {
        let groups = name.split(separator: "=", maxSplits: 2, omittingEmptySubsequences: false)
        self.alphabetic = groups.isEmpty ? "" : Self.fold(groups[0])
        self.ideographic = groups.count > 1 ? Self.fold(groups[1]) : ""
        self.phonetic = groups.count > 2 ? Self.fold(groups[2]) : ""
        self.words = NameFolding.words(name).prefix(Self.maximumWordCount)
            .flatMap { [$0, NameSound.code($0)?.lowercased()].compactMap(\.self) }
            .joined(separator: " ")
    }

    /// Folds one component group, or a pattern for one: wildcards pass through.
    static func fold(_ group: some StringProtocol) -> String {
        StoredText.clean(NameFolding.fold(group))
    }
}
