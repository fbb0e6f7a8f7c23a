// SPDX-License-Identifier: Apache-2.0

/// A strong entity tag (RFC 9110 §8.8.3): equal tags of one URL mean equal bytes.
public struct EntityTag: Sendable, Hashable, CustomStringConvertible {
    /// Between the quotes.
    public let opaque: String

    /// `opaque` is made here, of hexadecimal digits and hyphens.
    public init(_ opaque: String) { self.opaque = opaque }

    /// As it is written in a header.
    public var description: String { "\"\(opaque)\"" }

    /// The tag of the same representation in gzip: other bytes, so another tag.
    public var gzip: EntityTag { EntityTag(opaque + "-gzip") }

    /// Whether an `If-None-Match` names this tag, or `*`: the client has what it would get (RFC 9110 §13.1.2).
    ///
    /// `headers` are the values of the header; what is malformed in them matches nothing.
    public func isNamed(in headers: [String]) -> Bool {
        headers.contains { header in
            header[...].trimmingBlanks() == "*" || Self.opaques(header).contains(opaque)
        }
    }

    /// Whether an `If-Range` names this tag, by the strong comparison (RFC 9110 §13.1.5); a date never does.
    public func isStrongly(named header: String) -> Bool {
        header[...].trimmingBlanks() == description
    }

    /// What stands between the quotes of each tag of a list, weak ones included: `If-None-Match` compares weakly.
    private static func opaques(_ list: String) -> [String] {
        var found: [String] = []
        var current: [UInt8]?
        for byte in list.utf8 {
            guard byte == UInt8(ascii: "\"") else {
                current?.append(byte)
                continue
            }
            if let text = current {
                found.append(String(decoding: text, as: UTF8.self))
                current = nil
            } else {
                current = []
            }
        }
        return found
    }
}
