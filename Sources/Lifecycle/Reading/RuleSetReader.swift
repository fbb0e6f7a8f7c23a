// SPDX-License-Identifier: Apache-2.0

/// Makes a rule set of a file's values, and notes everything that is wrong with it.
///
/// A part that is wrong is replaced by something that is not, so that reading goes on and finds the rest; what it made
/// is given out only when there were no problems. Aspects: `+Values` (texts, numbers, names), `+Tiers`, `+Policies`,
/// `+Rules`, `+Conditions`, `+Prefetch`.
struct RuleSetReader {
    private(set) var problems: [RuleSetError.Problem] = []
    private(set) var omittedCount = 0
    /// The names of tiers and policies in their order, wrong ones included: a name's place is what others refer to.
    var tiers: [Tier] = []
    var policies: [Policy] = []

    mutating func report(_ location: SourceLocation, _ what: String, _ advice: String) {
        if problems.count < RuleSetLimits.problems {
            problems.append(RuleSetError.Problem(at: location, what, advice))
        } else {
            omittedCount += 1
        }
    }

    var error: RuleSetError? {
        if problems.isEmpty { return nil }
        let inOrder = problems.enumerated().sorted { first, second in
            guard let left = first.element.location, let right = second.element.location, left != right else {
                return first.offset < second.offset
            }
            return left < right
        }
        return RuleSetError(inOrder.map(\.element), omittedCount: omittedCount)
    }

    /// The whole file.
    mutating func read(_ root: LocatedValue) -> RuleSet? {
        let keys = ["version", "description", "tiers", "policies", "default", "rules", "prefetch"]
        guard let file = fields(of: root, "a rule set", keys: keys) else { return nil }
        readVersion(file)
        _ = file["description"].flatMap { readDescription($0) }
        if let value = required("tiers", of: file, "list the places for copies under 'tiers:'") {
            readTiers(value)
        }
        if let value = required("policies", of: file, "say what is wanted of studies under 'policies:'") {
            readPolicies(value)
        }
        let rules = file["rules"].map { readRules($0) } ?? []
        let prefetches = file["prefetch"].map { readPrefetches($0) } ?? []
        let defaultPolicy = required("default", of: file, "name the policy of studies that no rule matches")
            .flatMap { readDefault($0) }
        guard problems.isEmpty, let defaultPolicy else { return nil }
        return RuleSet(
            tiers: tiers,
            policies: policies,
            defaultPolicy: defaultPolicy,
            rules: rules,
            prefetches: prefetches
        )
    }

    private mutating func readVersion(_ file: Fields) {
        guard let value = required("version", of: file, "write 'version: 1', the version of this language") else {
            return
        }
        guard let version = text(value, "'version'"), version != "1" else { return }
        report(value.location, "the version is \(quoted(version))", "this version of Varve reads 'version: 1'")
    }

    private mutating func readDefault(_ value: LocatedValue) -> Int? {
        guard let place = policyPlace(named: value, by: "'default'") else { return nil }
        guard policies[place].expires else { return place }
        report(
            value.location,
            "the default policy \(quoted(policies[place].name)) expires",
            "name one that keeps copies: what no rule matches must not be deleted; a rule says what may expire"
        )
        return nil
    }
}

extension RuleSet {
    /// Reads and checks a rule set; nothing in it is taken for granted, and all that is wrong is reported at once.
    public init(reading value: LocatedValue) throws(RuleSetError) {
        var reader = RuleSetReader()
        let ruleSet = reader.read(value)
        if let error = reader.error { throw error }
        guard let ruleSet else {
            // The reader gives a rule set or problems; if it gave neither, that is no reason to end the process.
            throw RuleSetError([.init(at: value.location, "this is no rule set", "begin with 'version: 1'")])
        }
        self = ruleSet
    }
}
