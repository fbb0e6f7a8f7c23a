// SPDX-License-Identifier: Apache-2.0

/// Which earlier studies of a patient come back to the storage nodes when a new one arrives.
public struct PrefetchRule: Hashable, Sendable {
    /// What a prior can be asked to have in common with the new study.
    public enum Trait: String, Hashable, Sendable, CaseIterable {
        case modality
        case bodyPart = "body-part"
    }

    /// The most priors of a study that a rule fetches.
    public static let maximumCount = 20

    public let name: String
    /// Of the new study; nil: every one.
    public let condition: Condition?
    /// Of its priors; nil: all of them.
    public let priors: Condition?
    /// In each of these a prior shares a value with the new study.
    public let same: [Trait]
    /// So many priors at most, the newest.
    public let limit: Int

    public init(name: String, condition: Condition?, priors: Condition?, same: [Trait], limit: Int) {
        self.name = name
        self.condition = condition
        self.priors = priors
        self.same = same
        self.limit = limit
    }
}
