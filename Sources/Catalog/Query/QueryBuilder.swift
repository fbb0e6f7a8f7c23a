// SPDX-License-Identifier: Apache-2.0

/// Collects the conditions of a query as SQL, with every value a parameter.
struct QueryBuilder {
    private(set) var conditions: [String] = []
    private(set) var values: [PostgresValue] = []

    init() {}

    /// For a condition inside a subquery of `outer`: placeholders go on from there.
    ///
    /// `outer` then adopts the values.
    init(numberingAfter outer: QueryBuilder) {
        values = outer.values
    }

    mutating func adopt(_ inner: QueryBuilder) {
        values = inner.values
    }

    /// Adds a value; returns its placeholder.
    mutating func bind(_ value: PostgresValue) -> String {
        values.append(value)
        return "$\(values.count)"
    }

    mutating func add(_ condition: String) {
        conditions.append(condition)
    }

    /// "WHERE ..." or nothing.
    var whereClause: String {
        conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
    }

    /// As `whereClause`, with one more condition.
    func whereClause(and condition: String) -> String {
        "WHERE " + (conditions + [condition]).joined(separator: " AND ")
    }

    // MARK: matching

    /// Text compared as it is.
    mutating func text(_ column: String, _ condition: CatalogMatch.Condition) throws(CatalogError) {
        switch condition {
        case .single(let value):
            let value = StoredText.clean(value)
            if !value.isEmpty { add("\(column) = \(bind(.text(value)))") }
        case .wildcard(let pattern):
            let pattern = StoredText.clean(pattern)
            if pattern.isEmpty || pattern.allSatisfy({ $0 == "*" }) { return }
            if LikePattern.hasWildcard(pattern) {
                // The pattern is not empty, nor is what it matches; the first condition, which says so, lets the
                // indexes that leave out empty values be used.
                add("(\(column) <> '' AND \(column) LIKE \(bind(.text(LikePattern.like(pattern)))))")
            } else {
                add("\(column) = \(bind(.text(pattern)))")
            }
        case .list(let list):
            let list = try Self.cleanList(list)
            if !list.isEmpty { add("(\(column) <> '' AND \(column) = ANY (\(bind(.texts(list)))))") }
        case .range:
            throw Self.unsuited("a range", column)
        }
    }

    /// A person's name: any of `columns` (the component groups, folded) matches the folded value.
    ///
    /// With `words`, a column of words and sounds, the value's words are looked for there instead: fuzzy matching.
    mutating func name(
        _ columns: [String],
        words: String?,
        _ condition: CatalogMatch.Condition
    ) throws(CatalogError) {
        switch condition {
        case .single(let value), .wildcard(let value):
            if let words, let search = NamePattern.textSearch(StoredText.clean(value)) {
                add("\(words) @@ \(bind(.text(search)))::tsquery")
                return
            }
            let groups = value.split(separator: "=", maxSplits: 2, omittingEmptySubsequences: false)
                .map { PersonNameKey.fold($0) }
            if groups.count > 1 {
                // The value names its groups: each where it belongs.
                for (column, group) in zip(columns, groups) {
                    if let condition = nameCondition(column, group, condition) { add(condition) }
                }
            } else {
                let alternatives = columns.compactMap { nameCondition($0, groups.first ?? "", condition) }
                if !alternatives.isEmpty { add("(" + alternatives.joined(separator: " OR ") + ")") }
            }
        case .list(let list):
            let list = try Self.cleanList(list).map { PersonNameKey.fold($0) }
            guard !list.isEmpty else { return }
            let placeholder = bind(.texts(list))
            add("(" + columns.map { "\($0) = ANY (\(placeholder)) AND \($0) <> ''" }.joined(separator: " OR ") + ")")
        case .range:
            throw Self.unsuited("a range", columns[0])
        }
    }

    private mutating func nameCondition(
        _ column: String,
        _ folded: String,
        _ condition: CatalogMatch.Condition
    ) -> String? {
        if folded.isEmpty || folded.allSatisfy({ $0 == "*" }) { return nil }
        // The first condition lets the partial indexes on the rarer groups be used.
        guard case .wildcard = condition, LikePattern.hasWildcard(folded) else {
            return "(\(column) <> '' AND \(column) = \(bind(.text(folded))))"
        }
        guard let start = NamePattern.withoutOpenEnd(folded) else { return like(column, folded) }
        return "(\(like(column, start)) OR \(like(column, start + "^*")))"
    }

    private mutating func like(_ column: String, _ pattern: String) -> String {
        "(\(column) <> '' AND \(column) LIKE \(bind(.text(LikePattern.like(pattern)))))"
    }

    mutating func date(_ column: String, _ condition: CatalogMatch.Condition) throws(CatalogError) {
        switch condition {
        case .single(let value), .wildcard(let value):
            if let date = try Self.date(value) { add("\(column) = \(bind(.date(date)))") }
        case .range(let from, let to):
            if let from = try Self.date(from) { add("\(column) >= \(bind(.date(from)))") }
            if let to = try Self.date(to) { add("\(column) <= \(bind(.date(to)))") }
        case .list(let list):
            var placeholders: [String] = []
            for value in try Self.cleanList(list) {
                if let date = try Self.date(value) { placeholders.append(bind(.date(date))) }
            }
            if !placeholders.isEmpty { add("\(column) IN (\(placeholders.joined(separator: ", ")))") }
        }
    }

    /// Times are text in DICOM's form, so that the order of texts is the order of times; see `TimeBounds`.
    mutating func time(_ column: String, _ condition: CatalogMatch.Condition) throws(CatalogError) {
        switch condition {
        case .single(let value), .wildcard(let value):
            if let time = try Self.time(value) {
                // A time given to the minute is equal to itself and to that minute with zero seconds.
                add("rtrim(\(column), '.0') = rtrim(\(bind(.text(time))), '.0') AND \(column) <> ''")
            }
        case .range(let from, let to):
            if let from = try Self.time(from) { add("\(column) >= \(bind(.text(TimeBounds.lower(from))))") }
            if let to = try Self.time(to) { add("\(column) <= \(bind(.text(TimeBounds.upper(to))))") }
            if from != nil || to != nil { add("\(column) <> ''") }
        case .list:
            throw Self.unsuited("a list", column)
        }
    }

    /// One point in time between two: the dates bound the range, the times apply on its first and last day only.
    mutating func combined(
        _ dateColumn: String,
        _ dates: (from: String?, to: String?),
        _ timeColumn: String,
        _ times: (from: String?, to: String?)
    ) throws(CatalogError) {
        if let from = try Self.date(dates.from) {
            let day = bind(.date(from))
            add("\(dateColumn) >= \(day)")
            if let time = try Self.time(times.from) {
                add("(\(dateColumn) > \(day) OR \(timeColumn) >= \(bind(.text(TimeBounds.lower(time)))))")
            }
        }
        if let to = try Self.date(dates.to) {
            let day = bind(.date(to))
            add("\(dateColumn) <= \(day)")
            if let time = try Self.time(times.to) {
                add("(\(dateColumn) < \(day) OR \(timeColumn) <= \(bind(.text(TimeBounds.upper(time)))))")
            }
        }
    }

    mutating func number(_ column: String, _ condition: CatalogMatch.Condition) throws(CatalogError) {
        switch condition {
        case .single(let value), .wildcard(let value):
            let value = StoredText.clean(value)
            if value.isEmpty || value == "*" { return }
            guard let number = Int32(value) else {
                throw CatalogError(.invalid, "a value to be matched with \(Self.label(column)) is no integer")
            }
            add("\(column) = \(bind(.int4(number)))")
        case .range, .list:
            throw Self.unsuited("a range or list", column)
        }
    }

    // MARK: values

    private static func cleanList(_ list: [String]) throws(CatalogError) -> [String] {
        guard list.count <= CatalogQuery.maximumListCount else {
            throw CatalogError(.invalid, "a list of more than \(CatalogQuery.maximumListCount) values to match")
        }
        return list.map { StoredText.clean($0) }.filter { !$0.isEmpty }
    }

    private static func date(_ text: String?) throws(CatalogError) -> CivilDate? {
        guard let text, !StoredText.clean(text).isEmpty, text != "*" else { return nil }
        guard let date = CivilDate(dicom: text) else {
            throw CatalogError(.invalid, "a date to be matched is not of the form YYYYMMDD")
        }
        return date
    }

    private static func time(_ text: String?) throws(CatalogError) -> String? {
        guard let text, !StoredText.clean(text).isEmpty, text != "*" else { return nil }
        let time = StoredText.time(text)
        guard !time.isEmpty else {
            throw CatalogError(.invalid, "a time to be matched is not of the form HHMMSS.FFFFFF")
        }
        return time
    }

    private static func unsuited(_ kind: String, _ column: String) -> CatalogError {
        CatalogError(.invalid, "\(label(column)) cannot be matched by \(kind)")
    }

    private static func label(_ column: String) -> String {
        String(column.drop { $0 != "." }.dropFirst())
    }
}

/// The texts between which the times of a range lie.
///
/// DICOM leaves out what is not known from the right: "10" and "1000" and "100000" begin alike.
enum TimeBounds {
    /// Not after any form of the time: without zeros at the end.
    static func lower(_ time: String) -> String {
        var digits = Array(time.utf8)
        while let last = digits.last, last == UInt8(ascii: "0") || last == UInt8(ascii: ".") { digits.removeLast() }
        return String(decoding: digits, as: UTF8.self)
    }

    /// Not before any time that begins like this: "11" includes 11:59:59.
    static func upper(_ time: String) -> String { time + "~" }
}
