// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension Catalog {
    /// The studies that match, newest study date first.
    public func studies(_ query: CatalogQuery) async throws(CatalogError) -> [StudyRow] {
        let page = try CatalogPage(query, level: .study)
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(page.sql, page.values, deadline: deadline).rows.map { row in
                StudyRow(
                    patient: PatientAttributes(row: row, from: 0),
                    study: StudyAttributes(row: row, from: UpperColumns.studyStart),
                    modalities: row.texts(UpperColumns.afterStudy),
                    seriesCount: row.int(UpperColumns.afterStudy + 1) ?? 0,
                    instanceCount: row.int(UpperColumns.afterStudy + 2) ?? 0
                )
            }
        }
    }

    /// The series that match: by series number when the query names studies, else newest first.
    public func series(_ query: CatalogQuery) async throws(CatalogError) -> [SeriesRow] {
        let page = try CatalogPage(query, level: .series)
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(page.sql, page.values, deadline: deadline).rows.map { row in
                SeriesRow(
                    patient: PatientAttributes(row: row, from: 0),
                    study: StudyAttributes(row: row, from: UpperColumns.studyStart),
                    series: SeriesAttributes(row: row, from: UpperColumns.seriesStart),
                    instanceCount: row.int(UpperColumns.afterSeries) ?? 0
                )
            }
        }
    }

    /// The instances that match: by series and instance number when the query names studies or series, else by UID.
    public func instances(_ query: CatalogQuery) async throws(CatalogError) -> [InstanceQueryRow] {
        let page = try CatalogPage(query, level: .instance)
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            var rows: [InstanceQueryRow] = []
            for row in try connection.query(page.sql, page.values, deadline: deadline).rows {
                guard let instance = InstanceRow(row: row, from: UpperColumns.afterSeries) else {
                    throw PostgresFailure(kind: .unexpected, message: "a row of the table instances cannot be read")
                }
                rows.append(
                    InstanceQueryRow(
                        patient: PatientAttributes(row: row, from: 0),
                        study: StudyAttributes(row: row, from: UpperColumns.studyStart),
                        series: SeriesAttributes(row: row, from: UpperColumns.seriesStart),
                        instance: instance
                    )
                )
            }
            return rows
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
