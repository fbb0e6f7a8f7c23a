// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension Catalog {
    /// The studies that match, newest study date first.
    public func studies(_ query: CatalogQuery) async throws(CatalogError) -> [StudyRow] {
        try await studyPage(query).rows
    }

    /// The series that match: by study and series number when the query names studies or series, else newest first.
    public func series(_ query: CatalogQuery) async throws(CatalogError) -> [SeriesRow] {
        try await seriesPage(query).rows
    }

    /// The instances that match: by study, series and instance number when the query names studies or series, else by
    /// record.
    public func instances(_ query: CatalogQuery) async throws(CatalogError) -> [InstanceQueryRow] {
        try await instancePage(query).rows
    }

    /// As `studies`, with the place after each row.
    public func studyPage(_ query: CatalogQuery) async throws(CatalogError) -> CatalogRows<StudyRow> {
        try await page(query, .study, UpperColumns.afterStudy + StudyAggregates.columnCount) { row in
            StudyRow(
                patient: PatientAttributes(row: row, from: 0),
                study: StudyAttributes(row: row, from: UpperColumns.studyStart),
                modalities: row.texts(UpperColumns.afterStudy),
                seriesCount: row.int(UpperColumns.afterStudy + 1) ?? 0,
                instanceCount: row.int(UpperColumns.afterStudy + 2) ?? 0
            )
        }
    }

    /// As `series`, with the place after each row.
    public func seriesPage(_ query: CatalogQuery) async throws(CatalogError) -> CatalogRows<SeriesRow> {
        try await page(query, .series, UpperColumns.afterSeries + 1) { row in
            SeriesRow(
                patient: PatientAttributes(row: row, from: 0),
                study: StudyAttributes(row: row, from: UpperColumns.studyStart),
                series: SeriesAttributes(row: row, from: UpperColumns.seriesStart),
                instanceCount: row.int(UpperColumns.afterSeries) ?? 0
            )
        }
    }

    /// As `instances`, with the place after each row.
    public func instancePage(_ query: CatalogQuery) async throws(CatalogError) -> CatalogRows<InstanceQueryRow> {
        let page = try CatalogPage(query, level: .instance)
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try InstancePage.read(page.result(connection, deadline), page)
        }
    }

    /// One page; `keys` is the first of the columns that make the cursor.
    private func page<Row: Sendable>(
        _ query: CatalogQuery,
        _ level: CatalogLevel,
        _ keys: Int,
        _ read: @escaping @Sendable (PostgresResult.Row) throws(PostgresFailure) -> Row
    ) async throws(CatalogError) -> CatalogRows<Row> {
        let page = try CatalogPage(query, level: level)
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            var found = CatalogRows<Row>(rows: [], cursors: [])
            for row in try page.result(connection, deadline).rows {
                found.rows.append(try read(row))
                found.cursors.append(page.cursor(row, from: keys))
            }
            return found
        }
    }

    /// How Postgres would answer a query: its plan, for tests that want to see indexes used.
    package func plan(_ query: CatalogQuery, level: CatalogLevel) async throws(CatalogError) -> String {
        let page = try CatalogPage(query, level: level)
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query("EXPLAIN \(page.sql)", page.values, deadline: deadline).rows
                .map { $0.text(0) }.joined(separator: "\n")
        }
    }
}
