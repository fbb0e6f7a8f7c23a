// SPDX-License-Identifier: Apache-2.0

/// One line of an archive's plan of ageing: which studies, and what policy is theirs.
public struct Rule: Hashable, Sendable {
    public let name: String
    public let description: String?
    /// Nil: every study.
    public let condition: Condition?
    /// The policy's place in the rule set's `policies`.
    public let policy: Int
    /// Instead of the policy's.
    public let codec: Policy.Codec?

    public init(
        name: String,
        description: String? = nil,
        condition: Condition?,
        policy: Int,
        codec: Policy.Codec? = nil
    ) {
        self.name = name
        self.description = description
        self.condition = condition
        self.policy = policy
        self.codec = codec
    }
}

/// How an archive ages: tiers, policies, and the rules that give each study its policy.
///
/// Rules are tried in order and the first that matches decides; where none does, the default policy. Pure: facts and
/// day are passed in, and the same ones give the same decision for ever. `RuleSet(reading:)` makes one of a file and
/// checks it; the places of tiers and policies within others are valid in every rule set that it makes.
public struct RuleSet: Hashable, Sendable {
    public let tiers: [Tier]
    public let policies: [Policy]
    /// The place of the policy of studies that no rule matches; it does not expire.
    public let defaultPolicy: Int
    public let rules: [Rule]
    /// Which priors come back when a new study arrives; each entry adds its own.
    public let prefetches: [PrefetchRule]

    package init(
        tiers: [Tier],
        policies: [Policy],
        defaultPolicy: Int,
        rules: [Rule],
        prefetches: [PrefetchRule] = []
    ) {
        precondition(!policies[defaultPolicy].expires, "a default policy must keep: a rule's match is what may expire")
        self.tiers = tiers
        self.policies = policies
        self.defaultPolicy = defaultPolicy
        self.rules = rules
        self.prefetches = prefetches
    }
}
