// SPDX-License-Identifier: Apache-2.0

/// When a copy that could not be made is tried again, and when a person has to look at it.
public struct RepairBackOff: Hashable, Sendable {
    /// The pause after the first attempt; each further one is twice as long.
    public var first = Duration.seconds(60)
    public var longest = Duration.seconds(3840)
    /// After so many attempts that failed a person has to look.
    public var maximumAttempts = 8

    public init() {}

    /// The pause after so many failed attempts, at least 1; nil when it is not tried again.
    public func pause(afterAttempts count: Int) -> Duration? {
        guard count < maximumAttempts else { return nil }
        var pause = first
        for _ in 1..<max(1, count) where pause < longest { pause += pause }
        return min(pause, longest)
    }
}
