// SPDX-License-Identifier: Apache-2.0

/// The identity of a cluster, made once when the cluster is created; nodes of another cluster are refused.
public struct ClusterID: Hashable, Comparable, Sendable, CustomStringConvertible {
    private let identifier: Identifier128

    /// Makes an identity from its two halves, most significant first.
    public init(high: UInt64, low: UInt64) {
        self.identifier = Identifier128(high: high, low: low)
    }

    /// Reads the UUID form, hyphens optional; `nil` for anything else.
    public init?(_ text: some StringProtocol) {
        guard let identifier = Identifier128(text) else { return nil }
        self.identifier = identifier
    }

    /// The upper 64 bits.
    public var high: UInt64 { identifier.high }

    /// The lower 64 bits.
    public var low: UInt64 { identifier.low }

    /// The lowercase UUID form.
    public var description: String { identifier.text }

    public static func < (left: Self, right: Self) -> Bool { left.identifier < right.identifier }
}
