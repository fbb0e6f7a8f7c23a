// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// The statement for one page of a query's answer.
///
/// The page is found first, by the conditions alone; counts and modalities are then computed for its rows only. The
/// last columns are the values of the order, which make the row's cursor.
struct CatalogPage: Sendable {
    let sql: String
    let values: [PostgresValue]
    /// Whether one plan is good for all values: planning takes several times as long as finding the rows.
    let keepsPlan: Bool
    /// The columns of the order: numbers, except that `textKeys` are texts.
    private let keyCount: Int
    private let textKeys: Set<Int>

    init(_ query: CatalogQuery, level: CatalogLevel) throws(CatalogError) {
        var builder = QueryBuilder()
        try builder.add(query, level: level)
        // Numbers of ours, and part of the text: a plan that is kept has to know them.
        let limit = "\(max(0, min(query.limit, CatalogQuery.maximumLimit)))"
        let offset = "\(max(0, query.offset))"
        // Every study has its patient: the table is needed only to match its attributes.
        let patients = query.matches.contains(where: \.key.isOfPatient) ? "JOIN patients p ON p.id = t.patient" : ""
        let isNarrow = query.matches.contains { $0.key == .studyInstanceUID || $0.key == .seriesInstanceUID }
        // Of one study and one series, what comes before the instance's own number is the same for all.
        let isOneSeries = [.studyInstanceUID, .seriesInstanceUID].allSatisfy { (key: CatalogKey) in
            query.matches.contains { $0.key == key && $0.isSingle }
        }
        let order = PageOrder(level, isNarrow: isNarrow, isOneSeries: isOneSeries)
        if let cursor = query.after { try order.check(cursor) }
        if level == .study {
            sql = Self.studies(patients, &builder, limit, offset, after: query.after)
        } else {
            if let cursor = query.after { builder.add(order.isAfter(cursor, &builder)) }
            let range = "\(builder.whereClause) ORDER BY \(order.sql) LIMIT \(limit) OFFSET \(offset)"
            sql =
                level == .series
                ? Self.series(patients, range, order)
                : InstancePage.sql(patients, range, keys: order.columns, sorted: order.sortedCount)
        }
        values = builder.values
        keepsPlan =
            query.offset == 0 && !query.isFuzzy && query.matches.contains(where: \.namesFew)
            && query.matches.allSatisfy(\.namesFew)
        keyCount = order.columns.count
        textKeys = order.textKeys
    }

    /// The cursor after a row, whose columns of the order begin at `start`.
    func cursor(_ row: PostgresResult.Row, from start: Int) -> CatalogCursor {
        CatalogCursor(
            (0..<keyCount).map { index in
                if textKeys.contains(index) { return .text(row.text(start + index)) }
                return row.int(start + index).map { .number(Int64($0)) } ?? .null
            }
        )
    }

    /// Newest study date first, those without a date last.
    ///
    /// The index on the date is in that order, but no single comparison means "after this row" where dates are absent:
    /// the rows with and without are two pages, one after the other.
    private static func studies(
        _ patients: String,
        _ builder: inout QueryBuilder,
        _ limit: String,
        _ offset: String,
        after cursor: CatalogCursor?
    ) -> String {
        let order = "t.date DESC NULLS LAST, t.id DESC"
        let from = "SELECT t.id, t.date FROM studies t \(patients)"
        var page = "\(from) \(builder.whereClause) ORDER BY \(order) LIMIT \(limit) OFFSET \(offset)"
        if let cursor, cursor.keys.count == 2, case .number(let id) = cursor.keys[1] {
            let id = builder.bind(.int8(id))
            if case .number(let day) = cursor.keys[0] {
                let date = "(date '2000-01-01' + \(builder.bind(.int4(Int32(clamping: day)))))"
                let dated = builder.whereClause(and: "(t.date, t.id) < (\(date), \(id))")
                let undated = builder.whereClause(and: "t.date IS NULL")
                page = """
                    SELECT * FROM (
                        (\(from) \(dated) ORDER BY \(order) LIMIT \(limit) + \(offset))
                        UNION ALL
                        (\(from) \(undated) ORDER BY \(order) LIMIT \(limit) + \(offset))
                    ) t ORDER BY \(order) LIMIT \(limit) OFFSET \(offset)
                    """
            } else {
                let undated = builder.whereClause(and: "t.date IS NULL AND t.id < \(id)")
                page = "\(from) \(undated) ORDER BY \(order) LIMIT \(limit) OFFSET \(offset)"
            }
        }
        return """
            WITH page AS (\(page))
            SELECT \(UpperColumns.study), \(StudyAggregates.columns), t.date - date '2000-01-01', t.id
            FROM page JOIN studies t ON t.id = page.id JOIN patients p ON p.id = t.patient \(StudyAggregates.join)
            ORDER BY \(order)
            """
    }

    private static func series(_ patients: String, _ range: String, _ order: PageOrder) -> String {
        """
        WITH page AS (SELECT e.id FROM series e JOIN studies t ON t.id = e.study \(patients) \(range))
        SELECT \(UpperColumns.series), (SELECT count(*) FROM instances i WHERE i.series = e.id), \(order.columns.joined(separator: ", "))
        FROM page JOIN series e ON e.id = page.id JOIN studies t ON t.id = e.study
            JOIN patients p ON p.id = t.patient
        ORDER BY \(order.sql)
        """
    }

    /// The rows of the page.
    func result(_ connection: PostgresConnection, _ deadline: NIODeadline) throws(PostgresFailure) -> PostgresResult {
        keepsPlan
            ? try connection.query(keeping: sql, values, deadline: deadline)
            : try connection.query(sql, values, deadline: deadline)
    }
}

extension CatalogMatch {
    /// Whether it matches one value only.
    fileprivate var isSingle: Bool {
        guard case .single(let value) = condition else { return false }
        return !StoredText.clean(value).isEmpty
    }

    /// Whether it matches one value of a key that few rows share, whatever the value.
    fileprivate var namesFew: Bool {
        guard case .single = condition else { return false }
        switch key {
        case .patientID, .studyInstanceUID, .accessionNumber, .seriesInstanceUID, .sopInstanceUID: return true
        default: return false
        }
    }
}

/// The order of an answer, none of whose values is absent, so that "after this row" is one comparison of rows.
private struct PageOrder {
    private enum Direction {
        case ascending
        case descending
    }

    let columns: [String]
    let textKeys: Set<Int>
    /// How many of the last columns put the rows in order; those before them are the same for all.
    let sortedCount: Int
    private let direction: Direction
    private let isStudies: Bool

    init(_ level: CatalogLevel, isNarrow: Bool, isOneSeries: Bool = false) {
        let absent = Int32.max
        let seriesNumber = "coalesce(e.number, \(absent))"
        isStudies = level == .study
        switch (level, isNarrow) {
        case (.study, _): (columns, textKeys, direction) = (["t.date", "t.id"], [], .descending)
        // A query that names no study can match every series: then only an order that an index has will do.
        case (.series, false): (columns, textKeys, direction) = (["e.id"], [], .descending)
        case (.instance, false): (columns, textKeys, direction) = (["i.record"], [0], .ascending)
        case (.series, true): (columns, textKeys, direction) = (["t.id", seriesNumber, "e.id"], [], .ascending)
        case (.instance, true):
            columns = ["t.id", seriesNumber, "e.id", "coalesce(i.number, \(absent))", "i.uid"]
            (textKeys, direction) = ([4], .ascending)
        }
        sortedCount = level == .instance && isNarrow && isOneSeries ? 2 : columns.count
    }

    var sql: String {
        columns.suffix(sortedCount).map { direction == .descending ? "\($0) DESC" : $0 }.joined(separator: ", ")
    }

    /// Throws `.invalid` for a cursor of another kind of query.
    func check(_ cursor: CatalogCursor) throws(CatalogError) {
        let fits = cursor.keys.enumerated().allSatisfy { index, key in
            switch key {
            case .text(let text): textKeys.contains(index) && (columns[index] != "i.record" || Self.isUUID(text))
            case .number: !textKeys.contains(index)
            case .null: isStudies && index == 0
            }
        }
        guard cursor.keys.count == columns.count, fits else {
            throw CatalogError(.invalid, "the place to go on from belongs to another search")
        }
    }

    func isAfter(_ cursor: CatalogCursor, _ builder: inout QueryBuilder) -> String {
        var values: [String] = []
        for (column, key) in zip(columns, cursor.keys) {
            switch key {
            case .number(let number): values.append(builder.bind(.int8(number)))
            case .text(let text): values.append(builder.bind(.text(text)) + (column == "i.record" ? "::uuid" : ""))
            case .null: values.append("NULL")
            }
        }
        let sign = direction == .descending ? "<" : ">"
        return "(\(columns.joined(separator: ", "))) \(sign) (\(values.joined(separator: ", ")))"
    }

    private static func isUUID(_ text: String) -> Bool {
        text.utf8.count == 36
            && text.utf8.enumerated().allSatisfy { index, byte in
                [8, 13, 18, 23].contains(index)
                    ? byte == UInt8(ascii: "-") : Character(Unicode.Scalar(byte)).isHexDigit
            }
    }
}

/// What a study's row shows of what is below it.
enum StudyAggregates {
    static let columns = "a.modalities, a.series_count, a.instance_count"
    static let columnCount = 3

    static let join = """
        CROSS JOIN LATERAL (
            SELECT coalesce(array_agg(DISTINCT e.modality) FILTER (WHERE e.modality <> ''), '{}') AS modalities,
                count(*) AS series_count, coalesce(sum(c.count), 0)::int8 AS instance_count
            FROM series e CROSS JOIN LATERAL (SELECT count(*) FROM instances i WHERE i.series = e.id) c
            WHERE e.study = t.id
        ) a
        """
}
