// SPDX-License-Identifier: Apache-2.0

/// A URI, or one relative to another, in its components (RFC 3986 §3).
public struct URIReference: Sendable, Hashable {
    /// In lowercase, as is `authority`: neither depends on case (RFC 3986 §6.2.2.1).
    public let scheme: String?
    public let authority: String?
    public let path: String
    /// From the `?` or the `#` on.
    public let rest: String

    private init(scheme: String?, authority: String?, path: String, rest: String) {
        self.scheme = scheme
        self.authority = authority
        self.path = path
        self.rest = rest
    }

    /// Takes any text apart; what is no URI comes out as a path.
    public init(_ text: String) {
        var left = text[...]
        var scheme: String?
        if let colon = left.utf8.firstIndex(where: { ":/?#".utf8.contains($0) }), left.utf8[colon] == UInt8(ascii: ":"),
            Self.isScheme(left[..<colon])
        {
            scheme = left[..<colon].lowercased()
            left = left[left.utf8.index(after: colon)...]
        }
        let end = left.utf8.firstIndex { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") } ?? left.endIndex
        let rest = String(left[end...])
        left = left[..<end]
        var authority: String?
        if left.utf8.starts(with: "//".utf8) {
            left = left.dropFirst(2)
            let slash = left.utf8.firstIndex(of: UInt8(ascii: "/")) ?? left.endIndex
            authority = left[..<slash].lowercased()
            left = left[slash...]
        }
        self.init(scheme: scheme, authority: authority, path: String(left), rest: rest)
    }

    private static func isScheme(_ text: Substring) -> Bool {
        guard let first = text.utf8.first, (first | 0x20) >= 0x61, (first | 0x20) <= 0x7A else { return false }
        return text.utf8.allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
            default: "+-.".utf8.contains(byte)
            }
        }
    }

    /// What the reference means where `base` is the URI of what it stands in (RFC 3986 §5.2.2).
    public func resolved(against base: URIReference) -> URIReference {
        if scheme != nil {
            return URIReference(scheme: scheme, authority: authority, path: Self.withoutDots(path), rest: rest)
        }
        if authority != nil {
            return URIReference(scheme: base.scheme, authority: authority, path: Self.withoutDots(path), rest: rest)
        }
        if path.isEmpty {
            return URIReference(
                scheme: base.scheme,
                authority: base.authority,
                path: base.path,
                rest: rest.isEmpty ? base.rest : rest
            )
        }
        var joined = path
        if !path.utf8.starts(with: "/".utf8) {
            if base.authority != nil, base.path.isEmpty {
                joined = "/" + path
            } else {
                let slash = base.path.utf8.lastIndex(of: UInt8(ascii: "/"))
                joined = (slash.map { String(base.path[...$0]) } ?? "") + path
            }
        }
        return URIReference(
            scheme: base.scheme,
            authority: base.authority,
            path: Self.withoutDots(joined),
            rest: rest
        )
    }

    /// Without segments `.` and `..` (RFC 3986 §5.2.4).
    private static func withoutDots(_ path: String) -> String {
        let isAbsolute = path.utf8.starts(with: "/".utf8)
        let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst(isAbsolute ? 1 : 0)
        var kept: [Substring] = []
        for (index, segment) in zip(segments.indices, segments) {
            let isLast = index == segments.indices.last
            switch segment {
            case ".": if isLast { kept.append("") }
            case "..":
                _ = kept.popLast()
                if isLast { kept.append("") }
            default: kept.append(segment)
            }
        }
        return (isAbsolute ? "/" : "") + kept.joined(separator: "/")
    }
}

extension URIReference: CustomStringConvertible {
    public var description: String {
        (scheme.map { "\($0):" } ?? "") + (authority.map { "//\($0)" } ?? "") + path + rest
    }
}
