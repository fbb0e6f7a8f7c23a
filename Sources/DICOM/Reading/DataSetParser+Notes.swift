// SPDX-License-Identifier: Apache-2.0

extension DataSetParser {
    /// Something that is against PS3.5 and that the parser put right.
    struct Note {
        enum Kind {
            case implicitInsteadOfExplicit
            case explicitInsteadOfImplicit
            case explicitInUnknown
            case itemDelimiterAmongElements
            case sequenceDelimiterAmongElements
            case itemDelimiterAmongItems
            case sequenceDelimiterInDefinedLength
            case missingItemDelimiter
            case delimiterLength
            case zerosInItem
        }

        static let maximumCount = 10_000

        var kind: Kind
        var offset: Int
        var steps: [TagPath.Step]
        /// The sequence, for what happens between its items.
        var tag: Tag?
    }

    @inline(never)
    mutating func note(_ kind: Note.Kind, _ offset: Int, _ tag: Tag? = nil) {
        guard let count = self.notes?.count, count < Note.maximumCount else { return }
        self.notes?.append(Note(kind: kind, offset: offset, steps: self.steps, tag: tag))
    }
}
