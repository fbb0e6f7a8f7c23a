// SPDX-License-Identifier: Apache-2.0

extension RuleSetReader {
    /// The keys of conditions that are neither texts nor ages.
    private enum OtherKey: String, CaseIterable {
        case all, any, not
        case everyModality = "all-modalities"
        case byteCount = "size"
        case instanceCount = "instances"
        case birthDateKnown = "birth-date-known"
    }

    static let conditionKeys =
        Condition.TextSubject.allCases.map(\.rawValue) + Condition.DateSubject.allCases.map(\.rawValue)
        + OtherKey.allCases.map(\.rawValue)

    /// The keys of a mapping, all of which have to hold; nil when something is wrong with one.
    mutating func readCondition(_ value: LocatedValue, of what: String, depth: Int, count: inout Int) -> Condition? {
        guard depth <= RuleSetLimits.depth else {
            report(
                value.location,
                "\(what) has combinations more than \(RuleSetLimits.depth) deep",
                "write it as several rules"
            )
            return nil
        }
        let label = "'match' of \(what)"
        let advice = "write conditions, as 'modality: MG'; leave 'match' out for every study"
        guard let entries = entries(of: value, label, advice: advice) else { return nil }
        if entries.isEmpty { report(value.location, "\(label) is empty", advice) }
        let conditions = entries.map { readCondition($0, of: what, depth: depth, count: &count) }
        let valid = conditions.compactMap { $0 }
        guard !valid.isEmpty, valid.count == conditions.count else { return nil }
        return valid.count == 1 ? valid[0] : .all(valid)
    }

    private mutating func readCondition(
        _ entry: LocatedValue.Entry,
        of what: String,
        depth: Int,
        count: inout Int
    ) -> Condition? {
        count += 1
        guard count <= RuleSetLimits.conditions else {
            if count == RuleSetLimits.conditions + 1 {
                report(
                    entry.location,
                    "\(what) has more than \(RuleSetLimits.conditions) conditions",
                    "write several rules"
                )
            }
            return nil
        }
        if let subject = Condition.TextSubject(rawValue: entry.key) {
            return readPatterns(entry).map { .text(subject, $0) }
        }
        if let subject = Condition.DateSubject(rawValue: entry.key) {
            return ageBounds(entry).map { .age(subject, $0) }
        }
        switch OtherKey(rawValue: entry.key) {
        case .all: return readCombination(entry, of: what, depth: depth, count: &count).map { .all($0) }
        case .any: return readCombination(entry, of: what, depth: depth, count: &count).map { .any($0) }
        case .not: return readCondition(entry.value, of: what, depth: depth + 1, count: &count).map { .not($0) }
        case .everyModality: return readPatterns(entry).map { .everyModality($0) }
        case .byteCount: return numberBounds(entry, example: "500 MB") { ByteCount.parse($0) }.map { .byteCount($0) }
        case .instanceCount: return numberBounds(entry, example: "100") { Int64($0) }.map { .instanceCount($0) }
        case .birthDateKnown: return boolean(entry.value, "'\(entry.key)'").map { .birthDateKnown($0) }
        case nil:
            reportUnknown(entry, of: "'match' of \(what)", keys: Self.conditionKeys)
            return nil
        }
    }

    /// The members of `all` and `any`: a list of conditions.
    private mutating func readCombination(
        _ entry: LocatedValue.Entry,
        of what: String,
        depth: Int,
        count: inout Int
    ) -> [Condition]? {
        guard case .sequence(let values) = entry.value.content, !values.isEmpty else {
            report(
                entry.value.location,
                "'\(entry.key)' in 'match' of \(what) is \(entry.value.kind)",
                "write a list of conditions, each beginning with '-'"
            )
            return nil
        }
        let conditions = values.map { readCondition($0, of: what, depth: depth + 1, count: &count) }
        let valid = conditions.compactMap { $0 }
        return valid.count == conditions.count ? valid : nil
    }

    /// One text or a list of them.
    private mutating func readPatterns(_ entry: LocatedValue.Entry) -> [TextPattern]? {
        let what = "'\(entry.key)'"
        guard case .sequence(let values) = entry.value.content else {
            return text(entry.value, what).map { [TextPattern($0)] }
        }
        guard !values.isEmpty, values.count <= RuleSetLimits.patterns else {
            report(
                entry.value.location,
                "\(what) names \(values.count) texts",
                "name at least one and at most \(RuleSetLimits.patterns)"
            )
            return nil
        }
        let patterns = values.compactMap { text($0, what) }.map { TextPattern($0) }
        return patterns.count == values.count ? patterns : nil
    }
}

// MARK: Bounds

extension RuleSetReader {
    private mutating func ageBounds(_ entry: LocatedValue.Entry) -> Bounds<CalendarDuration>? {
        readBounds(entry, example: "5 years", parse: { CalendarDuration($0) }) { lower, upper in
            // Days and months cannot be compared.
            lower.span.isMonths == upper.span.isMonths ? Int64(lower.span.count - upper.span.count) : nil
        }
    }

    private mutating func numberBounds(
        _ entry: LocatedValue.Entry,
        example: String,
        parse: (Substring) -> Int64?
    ) -> Bounds<Int64>? {
        readBounds(entry, example: example, parse: { parse($0).flatMap { $0 >= 0 ? $0 : nil } }) { $0 - $1 }
    }

    /// `at least X`, `over X`, `under X`, `at most X`, or one of the first two `and` one of the last two.
    private mutating func readBounds<Value: Hashable & Sendable>(
        _ entry: LocatedValue.Entry,
        example: String,
        parse: (Substring) -> Value?,
        difference: (Value, Value) -> Int64?
    ) -> Bounds<Value>? {
        guard let text = text(entry.value, "'\(entry.key)'") else { return nil }
        var lower: Bounds<Value>.Lower?
        var upper: Bounds<Value>.Upper?
        for (part, words) in Self.parts(of: text).enumerated() {
            guard let comparison = Comparison.allCases.first(where: { words.hasPrefix($0.rawValue + " ") }),
                let value = parse(words.dropFirst(comparison.rawValue.count + 1)),
                part == 0 || (part == 1 && lower != nil && comparison.isUpper)
            else {
                report(
                    entry.value.location,
                    "'\(entry.key)' is \(quoted(text))",
                    "write 'at least \(example)', 'over', 'under' or 'at most', or a lower 'and' an upper bound"
                )
                return nil
            }
            switch comparison {
            case .atLeast: lower = .atLeast(value)
            case .over: lower = .over(value)
            case .under: upper = .under(value)
            case .atMost: upper = .atMost(value)
            }
        }
        if let lower, let upper, Self.isEmpty(lower, upper, difference) {
            report(entry.value.location, "'\(entry.key)' is \(quoted(text)), which nothing is", "make the range wider")
            return nil
        }
        return Bounds(lower: lower, upper: upper)
    }

    /// Whether nothing is within the bounds.
    private static func isEmpty<Value: Hashable & Sendable>(
        _ lower: Bounds<Value>.Lower,
        _ upper: Bounds<Value>.Upper,
        _ difference: (Value, Value) -> Int64?
    ) -> Bool {
        switch (lower, upper) {
        case (.atLeast(let lower), .atMost(let upper)): difference(lower, upper).map { $0 > 0 } ?? false
        case (.atLeast(let lower), .under(let upper)), (.over(let lower), .atMost(let upper)),
            (.over(let lower), .under(let upper)):
            difference(lower, upper).map { $0 >= 0 } ?? false
        }
    }

    private enum Comparison: String, CaseIterable {
        case atLeast = "at least"
        case over, under
        case atMost = "at most"

        var isUpper: Bool { self == .under || self == .atMost }
    }

    /// What stands before and after the word `and`.
    private static func parts(of text: String) -> [Substring] {
        var parts: [Substring] = []
        var words: [Substring] = []
        for word in text.split(separator: " ") {
            if word == "and" {
                parts.append(Substring(words.joined(separator: " ")))
                words = []
            } else {
                words.append(word)
            }
        }
        return parts + [Substring(words.joined(separator: " "))]
    }
}
