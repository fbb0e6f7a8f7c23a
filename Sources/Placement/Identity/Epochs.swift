// SPDX-License-Identifier: Apache-2.0

/// The version of the placement map: rises by one with every committed change.
public struct MapEpoch: Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// A coordinator's term of office, the fencing token: rises at every takeover, and lower ones are refused.
public struct Term: Hashable, Comparable, Sendable {
    public let rawValue: UInt64

    public init(rawValue: UInt64) { self.rawValue = rawValue }

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}
