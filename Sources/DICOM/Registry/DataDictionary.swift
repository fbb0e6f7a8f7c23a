// SPDX-License-Identifier: Apache-2.0

/// The data dictionary of PS3.6.
///
/// Made from text once, on first use (about a millisecond); immutable and shared after that. Knows no private elements.
/// Not called `Dictionary`, which would hide the standard library's in every file that imports this module.
public enum DataDictionary {
    public struct Entry: Hashable, Sendable {
        /// With repeating groups and the tag asked for: the tag asked for.
        public let tag: Tag
        /// The representation; for the ambiguous ones the first of PS3.6 (`US or SS` is US, `OB or OW` is OW).
        public let vr: VR
        public let ambiguity: VRAmbiguity
        /// Value multiplicity, as printed: `1`, `1-n`, `2-2n`.
        public let multiplicity: String
        public let keyword: String
        public let name: String
        public let isRetired: Bool
    }

    /// The entry of `tag`, of its repeating group if it has one; nil for private and unknown tags.
    public static func entry(for tag: Tag) -> Entry? {
        if let index = DictionaryTable.shared.index(of: tag) {
            return DictionaryTable.shared.entry(at: index, tag: tag)
        }
        return RepeatersTable.shared.entry(for: tag)
    }

    /// The tag of a PS3.6 keyword (`PatientName`), repeating groups not included.
    public static func tag(forKeyword keyword: String) -> Tag? {
        KeywordTable.shared.tags[keyword]
    }

    /// The representation of `tag` in an implicit VR encoding, without the data set it stands in.
    ///
    /// Private creators are LO, group lengths UL, other private and unknown tags UN.
    public static func vr(for tag: Tag) -> (vr: VR, ambiguity: VRAmbiguity) {
        if tag.isPrivate {
            if tag.isGroupLength { return (.ul, .none) }
            return (tag.isPrivateCreator ? .lo : .un, .none)
        }
        if let index = DictionaryTable.shared.index(of: tag) {
            return DictionaryTable.shared.vr(at: index)
        }
        if tag.isGroupLength { return (.ul, .none) }
        return RepeatersTable.shared.vr(for: tag) ?? (.un, .none)
    }
}

/// Why PS3.6 gives an element more than one representation; the data set decides (PS3.5 annex A, PS3.3).
public enum VRAmbiguity: UInt8, Hashable, Sendable {
    case none
    /// Signed by Pixel Representation (0028,0103).
    case unsignedOrSigned
    /// OW in implicit VR; else by Bits Allocated.
    case bytesOrWords
    /// LUT Data: OW, or US by the number of entries.
    case unsignedOrWords
}
