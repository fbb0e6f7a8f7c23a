// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension Catalog {
    /// The most studies of one listing.
    public static var maximumSummaryCount: Int { 1000 }

    /// Studies, those entered last first; `after` continues where a listing ended.
    public func studySummaries(
        limit: Int = 100,
        after cursor: StudyCursor? = nil
    ) async throws(CatalogError) -> [StudySummary] {
        let before = PostgresValue.int8(cursor?.rawValue ?? .max)
        let count = PostgresValue.int8(Int64(max(0, min(limit, Self.maximumSummaryCount))))
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(StudySummary.listing, [before, count], deadline: deadline).rows
                .map { StudySummary(row: $0) }
        }
    }

    /// Everything about one study; `nil` when there is none with that UID.
    public func study(_ studyInstanceUID: String) async throws(CatalogError) -> StudyDetails? {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let uid = [PostgresValue.text(studyInstanceUID)]
            // Three questions: what arrives between them may show in the later ones only.
            guard let row = try connection.query(StudySummary.single, uid, deadline: deadline).first else { return nil }
            let summary = StudySummary(row: row)
            let series = try connection.query(SeriesRow.ofStudy, uid, deadline: deadline).rows.map { row in
                SeriesRow(
                    patient: summary.patient,
                    study: summary.study,
                    series: SeriesAttributes(row: row, from: 0),
                    instanceCount: row.int(SeriesAttributes.columnCount) ?? 0
                )
            }
            let result = try connection.query(Statements.instancesOfStudy, uid, deadline: deadline)
            return StudyDetails(summary: summary, series: Array(series), instances: try InstanceRow.rows(result))
        }
    }
}

extension SeriesRow {
    fileprivate static let ofStudy = PreparedStatement(
        "series_of_study",
        """
        SELECT \(SeriesAttributes.columns), (SELECT count(*) FROM instances i WHERE i.series = e.id)
        FROM series e JOIN studies t ON t.id = e.study WHERE t.uid = $1 ORDER BY e.number NULLS LAST, e.id
        """
    )
}

extension StudySummary {
    private static let selection = """
        SELECT \(UpperColumns.study), \(StudyAggregates.columns), b.received, b.stored, t.received_at, b.last, t.id
        FROM page JOIN studies t ON t.id = page.id JOIN patients p ON p.id = t.patient \(StudyAggregates.join)
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(i.received_bytes), 0)::int8 AS received, coalesce(sum(i.stored_bytes), 0)::int8 AS stored,
                coalesce(max(i.received_at), t.received_at) AS last
            FROM series e JOIN instances i ON i.series = e.id WHERE e.study = t.id
        ) b
        """

    fileprivate static let listing = PreparedStatement(
        "study_listing",
        """
        WITH page AS (SELECT id FROM studies WHERE id < $1 ORDER BY id DESC LIMIT $2)
        \(selection) ORDER BY t.id DESC
        """
    )

    fileprivate static let single = PreparedStatement(
        "study_summary",
        "WITH page AS (SELECT id FROM studies WHERE uid = $1) \(selection)"
    )

    fileprivate init(row: PostgresResult.Row) {
        let next = UpperColumns.afterStudy
        self.init(
            patient: PatientAttributes(row: row, from: 0),
            study: StudyAttributes(row: row, from: UpperColumns.studyStart),
            modalities: row.texts(next),
            seriesCount: row.int(next + 1) ?? 0,
            instanceCount: row.int(next + 2) ?? 0,
            receivedByteCount: row.int(next + 3) ?? 0,
            storedByteCount: row.int(next + 4) ?? 0,
            receivedAtMilliseconds: Int64(row.int(next + 5) ?? 0),
            lastReceivedAtMilliseconds: Int64(row.int(next + 6) ?? 0),
            cursor: StudyCursor(rawValue: Int64(row.int(next + 7) ?? 0))
        )
    }
}
