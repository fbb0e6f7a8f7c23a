// SPDX-License-Identifier: Apache-2.0

extension RuleSetReader {
    private static let ruleKeys = ["name", "description", "match", "policy", "codec"]

    mutating func readRules(_ value: LocatedValue) -> [Rule] {
        guard case .sequence(let values) = value.content else {
            report(value.location, "'rules' is \(value.kind)", "write a list, each rule beginning with '- name: NAME'")
            return []
        }
        if values.count > RuleSetLimits.rules {
            report(value.location, "there are \(values.count) rules", "leave at most \(RuleSetLimits.rules)")
            return []
        }
        var rules: [Rule] = []
        var reach = Reach()
        for value in values {
            guard let rule = readRule(value) else { continue }
            if rules.contains(where: { $0.name == rule.name }) {
                report(value.location, "there are two rules \(quoted(rule.name))", "give each a name of its own")
            }
            if let earlier = reach.ruleBefore(rule) {
                report(
                    value.location,
                    "the rule \(quoted(rule.name)) is never reached: \(quoted(earlier)) above it matches its studies",
                    "move it up, or leave it out"
                )
            }
            rules.append(rule)
        }
        return rules
    }

    private mutating func readRule(_ value: LocatedValue) -> Rule? {
        let label = name(ofRule: value).map { "the rule \(quoted($0))" } ?? "the rule"
        guard let fields = fields(of: value, label, keys: Self.ruleKeys) else { return nil }
        let name = required("name", of: fields, "give it one, by which explanations call it").flatMap { value in
            text(value, "the name of a rule").flatMap { validName($0, at: value.location, of: "a rule") }
        }
        let description = fields["description"].flatMap { readDescription($0) }
        let policy = required("policy", of: fields, "name the policy that its studies get").flatMap {
            policyPlace(named: $0, by: "'policy' of \(label)")
        }
        let codec = fields["codec"].flatMap { choice($0, "'codec' of \(label)", of: Policy.Codec.self) }
        var conditionCount = 0
        let condition = fields["match"].map { readCondition($0, of: label, depth: 1, count: &conditionCount) }
        // A condition that could not be read must not pass for none.
        if case .some(.none) = condition { return nil }
        guard let name, let policy else { return nil }
        let rule = Rule(name: name, description: description, condition: condition ?? nil, policy: policy, codec: codec)
        if policies[policy].expires { checkExpiry(rule, fields) }
        return rule
    }

    /// The name of a rule that may be wrong otherwise.
    private func name(ofRule value: LocatedValue) -> String? {
        guard case .mapping(let entries) = value.content,
            case .scalar(let name) = entries.first(where: { $0.key == "name" })?.value.content
        else { return nil }
        return name
    }

    private mutating func checkExpiry(_ rule: Rule, _ fields: Fields) {
        let what = "the rule \(quoted(rule.name))"
        if rule.condition == nil {
            report(
                fields.location,
                "\(what) lets every study expire",
                "give it a 'match', with an age: 'study-age: over 10 years'"
            )
        } else if let condition = rule.condition, !condition.needsTime() {
            report(
                fields["match"]?.location ?? fields.location,
                "\(what) may let studies expire on the day they arrive",
                "say how old they must be in every case, as 'since-receipt: over 30 days'"
            )
        }
        if rule.codec != nil, let location = fields["codec"]?.location {
            report(location, "\(what) expires and has 'codec'", "leave it out")
        }
    }
}

/// Which rules are reached at all.
private struct Reach {
    private var catchAll: String?
    private var names: [Condition: String] = [:]

    /// The rule above that matches all studies of a rule; then notes that rule.
    mutating func ruleBefore(_ rule: Rule) -> String? {
        defer {
            if let condition = rule.condition {
                if names[condition] == nil { names[condition] = rule.name }
            } else if catchAll == nil {
                catchAll = rule.name
            }
        }
        return catchAll ?? rule.condition.flatMap { names[$0] }
    }
}
