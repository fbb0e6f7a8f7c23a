// SPDX-License-Identifier: Apache-2.0

/// A person's name (PS3.5 6.2.1) folded for searching: upper case, without padding and empty components at the end.
///
/// Folding is done here rather than by the database, so that it is the same under every server's locale.
struct PersonNameKey: Hashable, Sendable {
    /// The alphabetic, or only, component group.
    let alphabetic: String
    let ideographic: String
    let phonetic: String

    init(_ name: String) {
        let groups = name.split(separator: "=", maxSplits: 2, omittingEmptySubsequences: false)
        self.alphabetic = groups.isEmpty ? "" : Self.fold(groups[0])
        self.ideographic = groups.count > 1 ? Self.fold(groups[1]) : ""
        self.phonetic = groups.count > 2 ? Self.fold(groups[2]) : ""
    }

    /// Folds one component group, or a pattern for one: wildcards pass through.
    static func fold(_ group: some StringProtocol) -> String {
        var components = group.uppercased().split(separator: "^", omittingEmptySubsequences: false)
            .map { component in
                var component = component
                while component.first == " " { component.removeFirst() }
                while component.last == " " { component.removeLast() }
                return String(component)
            }
        while components.last == "" { components.removeLast() }
        return StoredText.clean(components.joined(separator: "^"))
    }
}
