// SPDX-License-Identifier: Apache-2.0

/// The statement for one page of the patients that match a query.
///
/// As with `CatalogPage`, the page is found first; what is below its rows is counted for them only. The last column makes
/// the row's cursor.
struct PatientPage: Sendable {
    let sql: String
    let values: [PostgresValue]

    /// Throws `.invalid` for keys that are not the patient's.
    init(_ query: CatalogQuery) throws(CatalogError) {
        if let other = query.matches.first(where: { !$0.key.isOfPatient }) {
            throw CatalogError(.invalid, "\(other.key) is not an attribute of a patient")
        }
        var builder = QueryBuilder()
        try builder.add(query, level: .study)
        if let cursor = query.after {
            guard cursor.keys.count == 1, case .number(let id) = cursor.keys[0] else {
                throw CatalogError(.invalid, "the place to go on from belongs to another search")
            }
            builder.add("p.id < \(builder.bind(.int8(id)))")
        }
        let limit = builder.bind(.int8(Int64(max(0, min(query.limit, CatalogQuery.maximumLimit)))))
        let offset = builder.bind(.int8(Int64(max(0, query.offset))))
        sql = """
            WITH page AS (
                SELECT p.id FROM patients p \(builder.whereClause) ORDER BY p.id DESC LIMIT \(limit) OFFSET \(offset)
            )
            SELECT \(PatientAttributes.columns), a.study_count, a.series_count, a.instance_count, p.id
            FROM page JOIN patients p ON p.id = page.id
                CROSS JOIN LATERAL (
                    SELECT count(*) AS study_count, coalesce(sum(c.series_count), 0)::int8 AS series_count,
                        coalesce(sum(c.instance_count), 0)::int8 AS instance_count
                    FROM studies t CROSS JOIN LATERAL (
                        SELECT count(*) AS series_count, coalesce(sum(d.count), 0)::int8 AS instance_count
                        FROM series e CROSS JOIN LATERAL (SELECT count(*) FROM instances i WHERE i.series = e.id) d
                        WHERE e.study = t.id
                    ) c
                    WHERE t.patient = p.id
                ) a
            ORDER BY p.id DESC
            """
        values = builder.values
    }
}

extension Catalog {
    /// The patients that match, the newest in the archive first; only the patient's attributes can be keys.
    ///
    /// With the place after each row.
    public func patientPage(_ query: CatalogQuery) async throws(CatalogError) -> CatalogRows<PatientRow> {
        let page = try PatientPage(query)
        let counts = PatientAttributes.columnCount
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            var found = CatalogRows<PatientRow>(rows: [], cursors: [])
            for row in try connection.query(page.sql, page.values, deadline: deadline).rows {
                found.rows.append(
                    PatientRow(
                        patient: PatientAttributes(row: row, from: 0),
                        studyCount: row.int(counts) ?? 0,
                        seriesCount: row.int(counts + 1) ?? 0,
                        instanceCount: row.int(counts + 2) ?? 0
                    )
                )
                found.cursors.append(CatalogCursor([.number(Int64(row.int(counts + 3) ?? 0))]))
            }
            return found
        }
    }
}
