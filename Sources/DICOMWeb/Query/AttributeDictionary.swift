// SPDX-License-Identifier: Apache-2.0

/// How keywords are looked up in the data dictionary (PS3.6): handed in, so that this module needs no dictionary.
public struct AttributeDictionary: Sendable {
    /// The tag with a keyword, `nil` when there is none.
    public let tag: @Sendable (_ keyword: String) -> UInt32?

    public init(tag: @escaping @Sendable (_ keyword: String) -> UInt32?) {
        self.tag = tag
    }

    /// Knows only what a search can match or return.
    public static let searchable = AttributeDictionary { QIDOAttribute(keyword: $0)?.tag }

    /// What an attribute id in a query names.
    enum Name {
        case searchable(QIDOAttribute)
        /// An attribute of the standard, or a private one, that the catalog does not hold.
        case other(UInt32)
    }

    /// Reads an attribute id of PS3.18 §8.3.1.1; `nil` when it is none.
    ///
    /// That is a keyword or eight hexadecimal digits, or several with dots between them for an attribute inside a
    /// sequence, of which the last counts here.
    func name(of text: String) -> (name: Name, isNested: Bool)? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        var last: Name?
        for part in parts {
            guard let name = single(String(part)) else { return nil }
            last = name
        }
        return last.map { ($0, parts.count > 1) }
    }

    private func single(_ text: String) -> Name? {
        if let attribute = QIDOAttribute(keyword: text) { return .searchable(attribute) }
        if let tag = tag(text) { return QIDOAttribute(rawValue: tag).map(Name.searchable) ?? .other(tag) }
        let isHexadecimal =
            text.utf8.count == 8
            && text.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "f"),
                    UInt8(ascii: "A")...UInt8(ascii: "F"):
                    true
                default: false
                }
            }
        guard isHexadecimal, let tag = UInt32(text, radix: 16) else { return nil }
        return QIDOAttribute(rawValue: tag).map(Name.searchable) ?? .other(tag)
    }
}
