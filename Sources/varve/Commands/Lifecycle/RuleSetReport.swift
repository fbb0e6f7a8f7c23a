// SPDX-License-Identifier: Apache-2.0

import Lifecycle

/// A rule set as `varve lifecycle check` prints it, for people and for programs.
struct RuleSetReport: Encodable {
    struct TierEntry: Encodable {
        let name: String
        /// `nodes` or `packs`.
        let kind: String
        /// A label, a directory, or the address of a bucket.
        var place: String
    }

    struct PolicyEntry: Encodable {
        struct Copies: Encodable {
            let tier: String
            let count: Int
        }

        let name: String
        let description: String?
        let expires: Bool
        let copies: [Copies]
        let spread: String?
        let codec: String?
        let recallTo: String?
        let soak: String?
        let stay: String?
        let trash: String
    }

    struct RuleEntry: Encodable {
        let name: String
        let description: String?
        /// A line a condition, two spaces for each combination that it stands within.
        let conditions: [String]
        let policy: String
        let codec: String?
    }

    struct PrefetchEntry: Encodable {
        let name: String
        /// Of the new study; of its priors.
        let conditions: [String]
        let priorConditions: [String]
        let same: [String]
        let atMost: Int
    }

    let tiers: [TierEntry]
    let policies: [PolicyEntry]
    let rules: [RuleEntry]
    let defaultPolicy: String
    let prefetch: [PrefetchEntry]

    init(_ ruleSet: RuleSet) {
        tiers = ruleSet.tiers.map(TierEntry.init)
        policies = ruleSet.policies.map { PolicyEntry($0, tiers: ruleSet.tiers) }
        rules = ruleSet.rules.map { rule in
            RuleEntry(
                name: rule.name,
                description: rule.description,
                conditions: rule.condition?.outline ?? [],
                policy: ruleSet.policies[rule.policy].name,
                codec: rule.codec?.rawValue
            )
        }
        defaultPolicy = ruleSet.policies[ruleSet.defaultPolicy].name
        prefetch = ruleSet.prefetches.map { rule in
            PrefetchEntry(
                name: rule.name,
                conditions: rule.condition?.outline ?? [],
                priorConditions: rule.priors?.outline ?? [],
                same: rule.same.map(\.rawValue),
                atMost: rule.limit
            )
        }
    }

    // MARK: Text

    var text: String {
        let tables = [tierTable, policyTable, ruleTable] + (prefetch.isEmpty ? [] : [prefetchTable])
        return tables.map(\.text).joined(separator: "\n\n")
    }

    private var tierTable: TextTable {
        var table = TextTable(["TIER", "KIND", "PLACE"])
        for tier in tiers { table.add([tier.name, tier.kind, tier.place]) }
        return table
    }

    private var policyTable: TextTable {
        var table = TextTable(["POLICY", "COPIES", "SPREAD", "CODEC", "RECALL TO", "SOAK", "STAY", "TRASH"])
        for policy in policies {
            let copies = policy.copies.map { "\($0.tier) \($0.count)" }.joined(separator: ", ")
            table.add([
                policy.name, policy.expires ? "expires" : copies, policy.spread ?? "-",
                policy.codec ?? "-", policy.recallTo ?? "-", policy.soak ?? "-", policy.stay ?? "-", policy.trash,
            ])
        }
        return table
    }

    private var prefetchTable: TextTable {
        var table = TextTable(["PREFETCH", "AT MOST", "SAME", "NEW STUDY", "PRIORS"], rightAligned: [1])
        for entry in prefetch {
            let (new, priors) = (entry.conditions, entry.priorConditions)
            for line in 0..<max(1, new.count, priors.count) {
                let isFirst = line == 0
                table.add([
                    isFirst ? entry.name : "", isFirst ? String(entry.atMost) : "",
                    isFirst ? (entry.same.isEmpty ? "-" : entry.same.joined(separator: ", ")) : "",
                    new.isEmpty && isFirst ? "every study" : new.dropFirst(line).first ?? "",
                    priors.isEmpty && isFirst ? "every study" : priors.dropFirst(line).first ?? "",
                ])
            }
        }
        return table
    }

    /// The rules in their order, the default last; a line a condition.
    private var ruleTable: TextTable {
        var table = TextTable(["#", "RULE", "POLICY", "CODEC", "WHEN"], rightAligned: [0])
        for (place, rule) in rules.enumerated() {
            let conditions = rule.conditions.isEmpty ? ["every study"] : rule.conditions
            for (line, condition) in conditions.enumerated() {
                table.add(
                    line == 0
                        ? [String(place + 1), rule.name, rule.policy, rule.codec ?? "-", condition]
                        : ["", "", "", "", condition]
                )
            }
        }
        table.add(["", "(default)", defaultPolicy, "-", rules.isEmpty ? "every study" : "no rule matches"])
        return table
    }
}

extension RuleSetReport.TierEntry {
    fileprivate init(_ tier: Tier) {
        name = tier.name
        switch tier.place {
        case .nodes(let label):
            (kind, place) = ("nodes", label)
        case .directory(let path):
            (kind, place) = ("packs", path)
        case .objectStore(let store):
            let path = [store.endpoint, store.bucket, store.prefix].filter { !$0.isEmpty }.joined(separator: "/")
            (kind, place) = ("packs", "s3 \(path)")
        }
        if let media = tier.offlineMedia { place += ", offline media: \(media.retryAfterSeconds) s" }
    }
}

extension RuleSetReport.PolicyEntry {
    fileprivate init(_ policy: Policy, tiers: [Tier]) {
        name = policy.name
        description = policy.description
        expires = policy.expires
        copies = policy.keeping?.copies.map { Copies(tier: tiers[$0.tier].name, count: $0.count) } ?? []
        spread = policy.keeping?.spread.rawValue
        codec = policy.keeping?.codec?.rawValue
        recallTo = policy.keeping?.recallTier.map { tiers[$0].name }
        soak = policy.keeping?.soak.description
        stay = policy.keeping?.stay.description
        trash = policy.trash.description
    }
}
