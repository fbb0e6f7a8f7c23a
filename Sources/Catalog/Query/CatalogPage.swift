// SPDX-License-Identifier: Apache-2.0

/// The statement for one page of a query's answer.
///
/// The page is found first, by the conditions alone; counts and modalities are then computed for its rows only.
struct CatalogPage: Sendable {
    let sql: String
    let values: [PostgresValue]

    init(_ query: CatalogQuery, level: CatalogLevel) throws(CatalogError) {
        var builder = QueryBuilder()
        try builder.add(query, level: level)
        let limit = builder.bind(.int8(Int64(max(0, min(query.limit, CatalogQuery.maximumLimit)))))
        let offset = builder.bind(.int8(Int64(max(0, query.offset))))
        let range = "LIMIT \(limit) OFFSET \(offset)"
        // Every study has its patient: the table is needed only to match its attributes.
        let patients = query.matches.contains(where: \.key.isOfPatient) ? "JOIN patients p ON p.id = t.patient" : ""
        let isNarrow = query.matches.contains { $0.key == .studyInstanceUID || $0.key == .seriesInstanceUID }
        switch level {
        case .study: sql = Self.studies(patients, builder.whereClause, range)
        case .series: sql = Self.series(patients, builder.whereClause, range, isNarrow: isNarrow)
        case .instance: sql = Self.instances(patients, builder.whereClause, range, isNarrow: isNarrow)
        }
        values = builder.values
    }

    private static func studies(_ patients: String, _ condition: String, _ range: String) -> String {
        let order = "t.date DESC NULLS LAST, t.id DESC"
        return """
            WITH page AS (
                SELECT t.id FROM studies t \(patients) \(condition) ORDER BY \(order) \(range)
            )
            SELECT \(UpperColumns.study), \(StudyAggregates.columns)
            FROM page JOIN studies t ON t.id = page.id JOIN patients p ON p.id = t.patient \(StudyAggregates.join)
            ORDER BY \(order)
            """
    }

    private static func series(_ patients: String, _ condition: String, _ range: String, isNarrow: Bool) -> String {
        // A query that names no study can match every series: then only an order that an index has will do.
        let order =
            isNarrow ? "t.date DESC NULLS LAST, t.id DESC, e.number NULLS LAST, e.id" : "e.id DESC"
        return """
            WITH page AS (
                SELECT e.id FROM series e JOIN studies t ON t.id = e.study \(patients)
                \(condition) ORDER BY \(order) \(range)
            )
            SELECT \(UpperColumns.series), (SELECT count(*) FROM instances i WHERE i.series = e.id)
            FROM page JOIN series e ON e.id = page.id JOIN studies t ON t.id = e.study
                JOIN patients p ON p.id = t.patient
            ORDER BY \(order)
            """
    }

    private static func instances(_ patients: String, _ condition: String, _ range: String, isNarrow: Bool) -> String {
        let order =
            isNarrow
            ? "t.date DESC NULLS LAST, t.id DESC, e.number NULLS LAST, e.id, i.number NULLS LAST, i.uid" : "i.uid"
        return """
            WITH page AS (
                SELECT i.uid FROM instances i JOIN series e ON e.id = i.series JOIN studies t ON t.id = e.study
                    \(patients)
                \(condition) ORDER BY \(order) \(range)
            )
            SELECT \(UpperColumns.series), \(InstanceRow.columns)
            FROM page JOIN instances i ON i.uid = page.uid JOIN series e ON e.id = i.series
                JOIN studies t ON t.id = e.study JOIN patients p ON p.id = t.patient \(InstanceRow.joins)
            ORDER BY \(order)
            """
    }
}

/// What a study's row shows of what is below it.
enum StudyAggregates {
    static let columns = "a.modalities, a.series_count, a.instance_count"

    static let join = """
        CROSS JOIN LATERAL (
            SELECT coalesce(array_agg(DISTINCT e.modality) FILTER (WHERE e.modality <> ''), '{}') AS modalities,
                count(*) AS series_count, coalesce(sum(c.count), 0)::int8 AS instance_count
            FROM series e CROSS JOIN LATERAL (SELECT count(*) FROM instances i WHERE i.series = e.id) c
            WHERE e.study = t.id
        ) a
        """
}
