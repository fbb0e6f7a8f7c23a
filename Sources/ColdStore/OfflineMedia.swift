// SPDX-License-Identifier: Apache-2.0

/// How a store is used whose packs may be on media that are not at hand: a tape that is taken out, an archive class of S3.
///
/// Written as `14400:7`, seconds and days.
public struct OfflineMedia: Hashable, Sendable, CustomStringConvertible {
    /// When whoever wants to read is to come back, in seconds: a minute to a year.
    public static let retryAfterLimits = 60...31_622_400
    /// For how many days an object of S3 stays once it was restored.
    public static let restoreDaysLimits = 1...366
    /// The archive classes of S3, when nothing is said: Standard retrievals take 3 to 5 hours from GLACIER ("Understanding
    /// archive retrieval options" of the Amazon S3 user guide).
    public static let usual = OfflineMedia(valid: 14_400, 7)

    public let retryAfterSeconds: Int
    public let restoreDays: Int

    /// Nil for what is beyond the limits.
    public init?(retryAfterSeconds: Int, restoreDays: Int) {
        guard Self.retryAfterLimits ~= retryAfterSeconds, Self.restoreDaysLimits ~= restoreDays else { return nil }
        self.init(valid: retryAfterSeconds, restoreDays)
    }

    private init(valid seconds: Int, _ days: Int) {
        self.retryAfterSeconds = seconds
        self.restoreDays = days
    }

    /// Reads `14400:7`; nil for anything else.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.allSatisfy { 0x30...0x39 ~= $0 } }),
            let seconds = Int(parts[0]), let days = Int(parts[1])
        else { return nil }
        self.init(retryAfterSeconds: seconds, restoreDays: days)
    }

    public var description: String { "\(retryAfterSeconds):\(restoreDays)" }
}
