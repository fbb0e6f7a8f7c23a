// SPDX-License-Identifier: Apache-2.0

/// The keys of one mapping, all of them known ones and each there once.
struct Fields {
    /// For messages: `the policy 'archive'`.
    let what: String
    let location: SourceLocation
    fileprivate(set) var values: [String: LocatedValue] = [:]

    subscript(key: String) -> LocatedValue? { values[key] }
}

extension RuleSetReader {
    /// The keys of a mapping; reports what is no mapping, and keys that are unknown or there twice.
    mutating func fields(of value: LocatedValue, _ what: String, keys: [String]) -> Fields? {
        guard let entries = entries(of: value, what, advice: "its keys are \(keys.joined(separator: ", "))") else {
            return nil
        }
        var fields = Fields(what: what, location: value.location)
        for entry in entries {
            if keys.contains(entry.key) {
                fields.values[entry.key] = entry.value
            } else {
                reportUnknown(entry, of: what, keys: keys)
            }
        }
        return fields
    }

    /// The entries of a mapping, of each key the first one; nil when it is none.
    mutating func entries(of value: LocatedValue, _ what: String, advice: String) -> [LocatedValue.Entry]? {
        guard case .mapping(let entries) = value.content else {
            report(value.location, "\(what) is \(value.kind), not keys with values", advice)
            return nil
        }
        var seen: [String: SourceLocation] = [:]
        return entries.filter { entry in
            if let first = seen[entry.key] {
                report(
                    entry.location,
                    "the key \(quoted(entry.key)) of \(what) stands in line \(first.line) already",
                    "leave one of them out"
                )
                return false
            }
            seen[entry.key] = entry.location
            return true
        }
    }

    mutating func reportUnknown(_ entry: LocatedValue.Entry, of what: String, keys: [String]) {
        let advice =
            NearMiss.of(entry.key, in: keys).map { "did you mean '\($0)'?" }
            ?? "its keys are \(keys.joined(separator: ", "))"
        report(entry.location, "\(what) has no key \(quoted(entry.key))", advice)
    }

    /// The value of a key that has to be there.
    mutating func required(_ key: String, of fields: Fields, _ advice: String) -> LocatedValue? {
        if let value = fields[key] { return value }
        report(fields.location, "\(fields.what) has no '\(key)'", advice)
        return nil
    }

    // MARK: Plain values

    /// A text that is not empty, without spaces at its ends.
    mutating func text(
        _ value: LocatedValue,
        _ what: String,
        maximumCount: Int = RuleSetLimits.textCharacters,
        allowsLines: Bool = false
    ) -> String? {
        guard case .scalar(let text) = value.content else {
            report(value.location, "\(what) is \(value.kind)", "write one text")
            return nil
        }
        let trimmed = text.drop { $0 == " " || $0 == "\n" }
        guard !trimmed.isEmpty else {
            report(value.location, "\(what) is empty", "give it a value, or leave the key out")
            return nil
        }
        guard text.count <= maximumCount else {
            report(value.location, "\(what) has \(text.count) characters", "shorten it to \(maximumCount)")
            return nil
        }
        guard allowsLines || trimmed.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control }) else {
            report(value.location, "\(what) has line breaks or control characters", "write it in one line")
            return nil
        }
        return String(trimmed[...(trimmed.lastIndex { $0 != " " && $0 != "\n" } ?? trimmed.startIndex)])
    }

    mutating func readDescription(_ value: LocatedValue) -> String? {
        text(value, "'description'", maximumCount: RuleSetLimits.descriptionCharacters, allowsLines: true)
    }

    mutating func boolean(_ value: LocatedValue, _ what: String) -> Bool? {
        guard let text = text(value, what) else { return nil }
        switch text.lowercased() {
        case "yes", "true": return true
        case "no", "false": return false
        default:
            report(value.location, "\(what) is \(quoted(text))", "write yes or no")
            return nil
        }
    }

    mutating func duration(_ value: LocatedValue, _ what: String) -> CalendarDuration? {
        guard let text = text(value, what) else { return nil }
        if let duration = CalendarDuration(text) { return duration }
        report(
            value.location,
            "\(what) is \(quoted(text))",
            "write a number of days, weeks, months or years, as '90 days', up to a thousand years"
        )
        return nil
    }

    /// One of a few words.
    mutating func choice<Choice: CaseIterable & RawRepresentable<String>>(
        _ value: LocatedValue,
        _ what: String,
        of type: Choice.Type
    ) -> Choice? {
        guard let text = text(value, what) else { return nil }
        if let choice = Choice(rawValue: text) { return choice }
        let words = type.allCases.map(\.rawValue)
        let meant = NearMiss.of(text, in: words).map { "did you mean '\($0)'? It" } ?? "it"
        report(value.location, "\(what) is \(quoted(text))", "\(meant) is one of \(words.joined(separator: ", "))")
        return nil
    }

    /// A name of a tier, a policy or a rule: letters, digits, `.`, `_` and `-`, the first a letter or digit.
    mutating func validName(_ text: String, at location: SourceLocation, of what: String) -> String? {
        let isPlain = { (byte: UInt8) in
            0x30...0x39 ~= byte || 0x41...0x5A ~= byte || 0x61...0x7A ~= byte
        }
        guard text.utf8.count <= RuleSetLimits.nameCharacters, let first = text.utf8.first, isPlain(first),
            text.utf8.allSatisfy({ isPlain($0) || [0x2D, 0x2E, 0x5F].contains($0) })
        else {
            report(
                location,
                "\(quoted(text)) is no name for \(what)",
                "use at most \(RuleSetLimits.nameCharacters) letters, digits, '.', '_' and '-', a letter or digit first"
            )
            return nil
        }
        return text
    }

    /// The place of the policy that a value names.
    mutating func policyPlace(named value: LocatedValue, by what: String) -> Int? {
        guard let name = text(value, what) else { return nil }
        if let place = policies.firstIndex(where: { $0.name == name }) { return place }
        // Where there is none at all, that has been said.
        if policies.isEmpty { return nil }
        reportUnknown(name, "policy", at: value.location, known: policies.map(\.name))
        return nil
    }

    /// The place of the tier of that name.
    mutating func tierPlace(named name: String, at location: SourceLocation) -> Int? {
        if let place = tiers.firstIndex(where: { $0.name == name }) { return place }
        if tiers.isEmpty { return nil }
        reportUnknown(name, "tier", at: location, known: tiers.map(\.name))
        return nil
    }

    private mutating func reportUnknown(_ name: String, _ kind: String, at location: SourceLocation, known: [String]) {
        let advice =
            NearMiss.of(name, in: known).map { "did you mean '\($0)'?" }
            ?? "define it, or name one of \(known.joined(separator: ", "))"
        report(location, "there is no \(kind) \(quoted(name))", advice)
    }
}

/// What stands in a file, for a message: short, in one line, without control characters.
func quoted(_ text: String) -> String {
    let maximumCount = 60
    let shown = text.unicodeScalars.prefix(maximumCount).map { scalar in
        [.control, .format].contains(scalar.properties.generalCategory) ? "?" : String(scalar)
    }
    return "'\(shown.joined())\(text.unicodeScalars.count > maximumCount ? "..." : "")'"
}
