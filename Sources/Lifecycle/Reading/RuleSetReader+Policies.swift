// SPDX-License-Identifier: Apache-2.0

extension RuleSetReader {
    private static let keepingKeys = ["copies", "spread", "codec", "recall-to", "soak", "stay"]
    private static let policyKeys = keepingKeys + ["expire", "trash", "description"]

    mutating func readPolicies(_ value: LocatedValue) {
        let advice = "write 'NAME: {copies: {TIER: COUNT}}' for each"
        guard let entries = entries(of: value, "'policies'", advice: advice) else { return }
        if entries.isEmpty { report(value.location, "there is no policy", advice) }
        if entries.count > RuleSetLimits.policies {
            report(value.location, "there are \(entries.count) policies", "leave at most \(RuleSetLimits.policies)")
            return
        }
        for entry in entries {
            _ = validName(entry.key, at: entry.location, of: "a policy")
            let policy = readPolicy(entry.key, entry.value)
            // As with tiers: the name of what could not be read is known.
            policies.append(policy ?? Policy(name: entry.key, aim: .keep(Keeping(copies: []))))
        }
    }

    private mutating func readPolicy(_ name: String, _ value: LocatedValue) -> Policy? {
        let what = "the policy \(quoted(name))"
        guard let fields = fields(of: value, what, keys: Self.policyKeys) else { return nil }
        let trash = fields["trash"].map { duration($0, "'trash' of \(what)") } ?? Policy.defaultTrash
        let description = fields["description"].flatMap { readDescription($0) }
        let expires = fields["expire"].map { boolean($0, "'expire' of \(what)") } ?? false
        guard let trash, let expires else { return nil }
        if expires {
            for key in Self.keepingKeys {
                guard let value = fields[key] else { continue }
                report(value.location, "\(what) expires and has '\(key)'", "leave one of the two out")
            }
            return Policy(name: name, description: description, aim: .expire, trash: trash)
        }
        return readKeeping(fields).map { Policy(name: name, description: description, aim: .keep($0), trash: trash) }
    }

    private mutating func readKeeping(_ fields: Fields) -> Keeping? {
        let what = fields.what
        guard let wanted = fields["copies"] else {
            report(
                fields.location,
                "\(what) has no copies",
                "write 'copies: {TIER: COUNT}', or 'expire: yes' if studies are to be deleted by it"
            )
            return nil
        }
        let copies = readCopies(wanted, of: what)
        let spread = fields["spread"].map { choice($0, "'spread' of \(what)", of: Policy.Spread.self) } ?? .host
        let codec = fields["codec"].flatMap { choice($0, "'codec' of \(what)", of: Policy.Codec.self) }
        let recallTier = fields["recall-to"].flatMap { readRecallTier($0, of: what) }
        let soak = fields["soak"].map { duration($0, "'soak' of \(what)") } ?? Policy.defaultSoak
        let stay = fields["stay"].map { duration($0, "'stay' of \(what)") } ?? Policy.defaultStay
        guard let copies, let spread, let soak, let stay else { return nil }
        return Keeping(copies: copies, spread: spread, codec: codec, recallTier: recallTier, soak: soak, stay: stay)
    }

    private mutating func readCopies(_ value: LocatedValue, of what: String) -> [TierCopies]? {
        let advice = "write 'copies: {TIER: COUNT}'"
        guard let entries = entries(of: value, "'copies' of \(what)", advice: advice) else { return nil }
        if entries.isEmpty {
            report(value.location, "\(what) has no copies", "name a tier and how many copies are wanted there")
            return nil
        }
        return entries.compactMap { entry in
            guard let tier = tierPlace(named: entry.key, at: entry.location) else { return nil }
            guard let count = text(entry.value, "the count of copies in \(quoted(entry.key))") else { return nil }
            let maximum = tiers[tier].isOnNodes ? RuleSetLimits.copies : 1
            guard let number = Int(count), 1...maximum ~= number else {
                report(
                    entry.value.location,
                    "\(what) wants \(quoted(count)) copies in \(quoted(entry.key))",
                    tiers[tier].isOnNodes
                        ? "write a number from 1 to \(maximum)"
                        : "write 1: packs are there once; a second copy needs a tier of its own"
                )
                return nil
            }
            return TierCopies(tier: tier, count: number)
        }
    }

    private mutating func readRecallTier(_ value: LocatedValue, of what: String) -> Int? {
        guard let name = text(value, "'recall-to' of \(what)"),
            let tier = tierPlace(named: name, at: value.location)
        else { return nil }
        if tiers[tier].isOnNodes { return tier }
        report(value.location, "\(what) recalls to \(quoted(name)), which has packs", "name a tier of nodes")
        return nil
    }
}
