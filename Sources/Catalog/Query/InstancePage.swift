// SPDX-License-Identifier: Apache-2.0

/// The statement for a page of instances, and how its answer is read.
///
/// First a row for each series of the page, with what its instances have in common, then a row for each instance: names and
/// descriptions are looked up, sent and read once a series.
enum InstancePage {
    /// Columns of every row: the instance's place in the page, 0 for a series' row; the series' id; then those of a series'
    /// row, and then those of an instance's.
    private static let upperStart = 2
    private static let instanceStart = upperStart + UpperColumns.afterSeries
    private static let instanceColumns = "g.uid, sc.text, g.number, g.rows, g.columns, g.frames, ss.text, g.record"
    private static let instanceColumnCount = 8

    /// `range` is the condition, order and limit of the page; `keys` are the columns of its order, and `sorted` the last of them,
    /// which tell its rows apart.
    static func sql(_ patients: String, _ range: String, keys: [String], sorted: Int) -> String {
        let names = keys.indices.map { "k\($0)" }
        let selected = zip(keys, names).map { "\($0) AS \($1)" }.joined(separator: ", ")
        func nulls(_ count: Int) -> String { Array(repeating: "NULL", count: count).joined(separator: ", ") }
        let cursor = zip(keys, names).map { $0 == "i.record" ? "g.\($1)::text" : "g.\($1)" }.joined(separator: ", ")
        return """
            WITH page AS MATERIALIZED (
                SELECT f.*, row_number() OVER (ORDER BY \(names.suffix(sorted).joined(separator: ", "))) AS place FROM (
                    SELECT i.series, i.uid, i.number, i.rows, i.columns, i.frames, i.sop_class, i.stored_syntax, i.record,
                        \(selected)
                    FROM instances i JOIN series e ON e.id = i.series JOIN studies t ON t.id = e.study \(patients) \(range)
                ) f
            )
            SELECT 0::bigint, e.id, \(UpperColumns.series), \(nulls(instanceColumnCount + keys.count))
            FROM series e JOIN studies t ON t.id = e.study JOIN patients p ON p.id = t.patient
            WHERE e.id = ANY (ARRAY(SELECT series FROM page))
            UNION ALL
            SELECT g.place, g.series, \(nulls(UpperColumns.afterSeries)), \(instanceColumns), \(cursor)
            FROM page g JOIN terms sc ON sc.id = g.sop_class JOIN terms ss ON ss.id = g.stored_syntax
            ORDER BY 1
            """
    }

    /// Reads an answer; throws when a row is not what was asked for.
    static func read(
        _ result: PostgresResult,
        _ page: CatalogPage
    ) throws(PostgresFailure) -> CatalogRows<InstanceQueryRow> {
        var found = CatalogRows<InstanceQueryRow>(rows: [], cursors: [])
        found.rows.reserveCapacity(result.rowCount)
        found.cursors.reserveCapacity(result.rowCount)
        var uppers: [Int: UpperAttributes] = [:]
        for row in result.rows {
            let series = row.int(1) ?? 0
            if row.int(0) == 0 {
                uppers[series] = UpperAttributes(
                    patient: PatientAttributes(row: row, from: upperStart),
                    study: StudyAttributes(row: row, from: upperStart + UpperColumns.studyStart),
                    series: SeriesAttributes(row: row, from: upperStart + UpperColumns.seriesStart)
                )
                continue
            }
            guard let upper = uppers[series], let recordID = row.recordID(instanceStart + 7) else {
                throw PostgresFailure(kind: .unexpected, message: "a row of the table instances cannot be read")
            }
            found.rows.append(
                InstanceQueryRow(
                    upper: upper,
                    instance: InstanceAttributes(
                        sopInstanceUID: row.text(instanceStart),
                        sopClassUID: row.text(instanceStart + 1),
                        number: row.int(instanceStart + 2),
                        rows: row.int(instanceStart + 3),
                        columns: row.int(instanceStart + 4),
                        numberOfFrames: row.int(instanceStart + 5)
                    ),
                    storedTransferSyntax: row.text(instanceStart + 6),
                    recordID: recordID
                )
            )
            found.cursors.append(page.cursor(row, from: instanceStart + instanceColumnCount))
        }
        return found
    }
}
