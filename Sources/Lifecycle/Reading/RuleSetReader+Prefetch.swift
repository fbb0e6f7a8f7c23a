// SPDX-License-Identifier: Apache-2.0

extension RuleSetReader {
    private static let prefetchKeys = ["name", "match", "priors", "same", "at-most"]

    mutating func readPrefetches(_ value: LocatedValue) -> [PrefetchRule] {
        guard case .sequence(let values) = value.content else {
            let advice = "write a list, each entry beginning with '- name: NAME'"
            report(value.location, "'prefetch' is \(value.kind)", advice)
            return []
        }
        if values.count > RuleSetLimits.prefetches {
            let advice = "leave at most \(RuleSetLimits.prefetches)"
            report(value.location, "there are \(values.count) entries of 'prefetch'", advice)
            return []
        }
        var rules: [PrefetchRule] = []
        for value in values {
            guard let rule = readPrefetch(value) else { continue }
            if rules.contains(where: { $0.name == rule.name }) {
                report(
                    value.location,
                    "there are two entries \(quoted(rule.name)) of 'prefetch'",
                    "give each a name of its own"
                )
            }
            rules.append(rule)
        }
        return rules
    }

    private mutating func readPrefetch(_ value: LocatedValue) -> PrefetchRule? {
        guard let fields = fields(of: value, "an entry of 'prefetch'", keys: Self.prefetchKeys) else { return nil }
        let name = required("name", of: fields, "give it one, by which recalls call it").flatMap { value in
            text(value, "the name of an entry of 'prefetch'").flatMap {
                validName($0, at: value.location, of: "an entry of 'prefetch'")
            }
        }
        let label = name.map { "the entry \(quoted($0)) of 'prefetch'" } ?? "an entry of 'prefetch'"
        var conditionCount = 0
        let condition = fields["match"].map { readCondition($0, of: label, depth: 1, count: &conditionCount) }
        let priors = fields["priors"].map {
            readCondition($0, of: "'priors' of \(label)", depth: 1, count: &conditionCount)
        }
        // A condition that could not be read must not pass for none.
        if case .some(.none) = condition { return nil }
        if case .some(.none) = priors { return nil }
        let same = fields["same"].flatMap { readTraits($0, "'same' of \(label)") } ?? []
        let limit = required("at-most", of: fields, "write 'at-most: 3', the newest that many").flatMap {
            readCount($0, "'at-most' of \(label)")
        }
        guard let name, let limit else { return nil }
        return PrefetchRule(
            name: name,
            condition: condition ?? nil,
            priors: priors ?? nil,
            same: same,
            limit: limit
        )
    }

    /// One trait, or a list of them.
    private mutating func readTraits(_ value: LocatedValue, _ what: String) -> [PrefetchRule.Trait]? {
        guard case .sequence(let values) = value.content else {
            return choice(value, what, of: PrefetchRule.Trait.self).map { [$0] }
        }
        return values.compactMap { choice($0, what, of: PrefetchRule.Trait.self) }
    }

    private mutating func readCount(_ value: LocatedValue, _ what: String) -> Int? {
        guard let text = text(value, what) else { return nil }
        if text.utf8.allSatisfy({ 0x30...0x39 ~= $0 }), let count = Int(text), 1...PrefetchRule.maximumCount ~= count {
            return count
        }
        report(
            value.location,
            "\(what) is \(quoted(text))",
            "write a number from 1 to \(PrefetchRule.maximumCount)"
        )
        return nil
    }
}
