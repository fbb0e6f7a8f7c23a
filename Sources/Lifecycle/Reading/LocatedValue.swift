// SPDX-License-Identifier: Apache-2.0

/// A value of a file with the place where it stands: a text, a list, or keys with values.
///
/// What a reader of some syntax (YAML, JSON) hands to `RuleSet(reading:)`. Numbers and booleans are texts here: what a
/// text means the key says under which it stands.
public struct LocatedValue: Hashable, Sendable {
    public enum Content: Hashable, Sendable {
        case scalar(String)
        case sequence([LocatedValue])
        case mapping([Entry])
    }

    /// One key of a mapping and its value.
    ///
    /// A mapping may have the same key twice; that is for its reader to refuse.
    public struct Entry: Hashable, Sendable {
        public let key: String
        public let location: SourceLocation
        public let value: LocatedValue

        public init(key: String, location: SourceLocation, value: LocatedValue) {
            self.key = key
            self.location = location
            self.value = value
        }
    }

    public let content: Content
    public let location: SourceLocation

    public init(_ content: Content, at location: SourceLocation) {
        self.content = content
        self.location = location
    }

    /// What it is, for messages.
    var kind: String {
        switch content {
        case .scalar(let text): text.isEmpty ? "empty" : "a text"
        case .sequence: "a list"
        case .mapping: "a list of keys"
        }
    }
}

/// A place in a text; both count from 1, columns in Unicode scalars.
public struct SourceLocation: Hashable, Sendable, Comparable {
    public let line: Int
    public let column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    public static func < (left: Self, right: Self) -> Bool { (left.line, left.column) < (right.line, right.column) }
}
