// SPDX-License-Identifier: Apache-2.0

/// A person's name (PS3.5 section 6.2.1): up to three component groups of up to five components.
public struct PersonName: Hashable, Sendable {
    public struct Components: Hashable, Sendable {
        public var family = ""
        public var given = ""
        public var middle = ""
        public var prefix = ""
        public var suffix = ""

        /// Splits at `^`; what follows a fifth one is ignored.
        public init(parsing text: some StringProtocol) {
            let parts = Array(text.utf8).split(separator: UInt8(ascii: "^"), omittingEmptySubsequences: false)
                .map { SpecificCharacterSet.trim(String(decoding: $0, as: UTF8.self), vr: .pn) }
            func part(_ index: Int) -> String { index < parts.count ? parts[index] : "" }
            self.family = part(0)
            self.given = part(1)
            self.middle = part(2)
            self.prefix = part(3)
            self.suffix = part(4)
        }

        public var isEmpty: Bool {
            self.family.isEmpty && self.given.isEmpty && self.middle.isEmpty && self.prefix.isEmpty
                && self.suffix.isEmpty
        }
    }

    /// The name in a Latin script.
    public var alphabetic: Components
    /// In ideographs, as in Chinese, Japanese and Korean.
    public var ideographic: Components
    /// As pronounced, in a phonetic script.
    public var phonetic: Components

    /// Parses one decoded value of a PN element.
    public init(parsing text: String) {
        let groups = text.split(separator: "=", maxSplits: 2, omittingEmptySubsequences: false)
        func group(_ index: Int) -> Components { Components(parsing: index < groups.count ? groups[index] : "") }
        self.alphabetic = group(0)
        self.ideographic = group(1)
        self.phonetic = group(2)
    }
}

extension DataSet {
    /// The first value as a person's name; nil when absent or empty.
    public func personName(_ tag: Tag) -> PersonName? {
        self.string(tag).map { PersonName(parsing: $0) }
    }
}
