// SPDX-License-Identifier: Apache-2.0

import Placement

/// The identity of a pack: 128 bits that whoever made it chose at random, written as a UUID.
public struct PackID: Hashable, Comparable, Sendable, CustomStringConvertible {
    private let identifier: Identifier128

    /// Makes an identity from its two halves, most significant first.
    public init(high: UInt64, low: UInt64) {
        self.identifier = Identifier128(high: high, low: low)
    }

    /// An identity that no other pack has.
    public init(using generator: inout some RandomNumberGenerator) {
        self.init(high: generator.next(), low: generator.next())
    }

    /// Reads the UUID form, hyphens optional; `nil` for anything else.
    public init?(_ text: some StringProtocol) {
        guard let identifier = Identifier128(text) else { return nil }
        self.identifier = identifier
    }

    /// The lowercase UUID form.
    public var description: String { identifier.text }

    public static func < (left: Self, right: Self) -> Bool { left.identifier < right.identifier }
}
