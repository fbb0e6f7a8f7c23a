// SPDX-License-Identifier: Apache-2.0

/// Keeps a slip of the pen in a rule set from emptying an archive: a rule set by which many studies expire at once is
/// taken only when somebody says how many they are.
public struct ExpiryGuard: Hashable, Sendable {
    /// Percent of the studies that may expire without a word.
    public static let defaultPercentage = 1.0

    public let percentage: Double
    /// The number of studies that somebody says is right.
    public let confirmed: Int64?

    /// Nil unless the percentage is one of 0 to 100.
    public init?(percentage: Double = ExpiryGuard.defaultPercentage, confirmed: Int64? = nil) {
        guard 0...100 ~= percentage else { return nil }
        self.percentage = percentage
        self.confirmed = confirmed
    }

    /// Whether a rule set may be taken by which as many studies expire.
    ///
    /// A number that was said must be the number, however small it is: the archive is another one than was looked at.
    public func allows(expiring: Int64, of studies: Int64) -> Bool {
        if let confirmed { return confirmed == expiring }
        return Double(expiring) * 100 <= percentage * Double(studies)
    }
}
