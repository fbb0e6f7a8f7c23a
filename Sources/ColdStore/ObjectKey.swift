// SPDX-License-Identifier: Apache-2.0

/// The name of an object in a store: components of letters, digits, `.`, `_` and `-`, with slashes between them.
///
/// It is a path under any directory and needs no escaping in any URL. No component begins with a dot, so none is hidden
/// and none is `..`.
public struct ObjectKey: Hashable, Comparable, Sendable, CustomStringConvertible {
    public let string: String

    /// The longest key: that of S3.
    public static let maximumByteCount = 1024
    /// The longest component: that of most file systems.
    public static let maximumComponentByteCount = 255
    /// Components of a key.
    public static let maximumComponentCount = 8

    /// Checks `string`; `nil` when it is no key.
    public init?(_ string: some StringProtocol) {
        let components = string.split(separator: "/", omittingEmptySubsequences: false)
        guard string.utf8.count <= Self.maximumByteCount, components.count <= Self.maximumComponentCount,
            components.allSatisfy({ Self.isComponent($0) })
        else { return nil }
        self.string = String(string)
    }

    /// Whether it may stand between two slashes.
    static func isComponent(_ text: some StringProtocol) -> Bool {
        guard let first = text.utf8.first, first != UInt8(ascii: "."), text.utf8.count <= maximumComponentByteCount
        else { return false }
        return text.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
    }

    public var description: String { string }

    /// In the order of their bytes, as S3 lists them.
    public static func < (left: Self, right: Self) -> Bool { left.string < right.string }
}

/// What a store says of an object.
public struct ObjectStatus: Hashable, Sendable {
    public let key: ObjectKey
    public let byteCount: UInt64

    public init(key: ObjectKey, byteCount: UInt64) {
        self.key = key
        self.byteCount = byteCount
    }
}
