// SPDX-License-Identifier: Apache-2.0

/// The group that all instances of a study share, and that is placed on nodes as one.
///
/// The number of groups is fixed when a cluster is created. The hash below is part of the on-disk contract: changing
/// it would send new instances of an old study to another group than the ones already stored.
public struct PlacementGroup: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number of groups in a cluster.
    public static let count = 1024

    /// 0 ..< `count`.
    public let rawValue: UInt16

    /// Makes a group from its number; `nil` when it is out of range.
    public init?(rawValue: UInt16) {
        guard rawValue < Self.count else { return nil }
        self.rawValue = rawValue
    }

    /// The group of a study: FNV-1a (64 bit) of the Study Instance UID's bytes, finished by a mixer, modulo `count`.
    public init(studyInstanceUID: some StringProtocol) {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in studyInstanceUID.utf8 {
            hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3
        }
        // UIDs of one scanner differ in their last digits only: FNV alone leaves the upper bits nearly equal.
        hash = (hash ^ (hash >> 32)) &* 0x9e37_79b9_7f4a_7c15
        self.rawValue = UInt16(truncatingIfNeeded: (hash >> 40) % UInt64(Self.count))
    }

    public var description: String { String(rawValue) }

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}
