// SPDX-License-Identifier: Apache-2.0

// The columns of patients, studies and series, and how they become attributes. A level's columns follow each other, and
// each reader takes the number of the first.

extension PatientAttributes {
    static let columns = "p.patient_id, p.issuer, p.name, p.birth_date, p.sex"
    static let columnCount = 5

    init(row: PostgresResult.Row, from start: Int) {
        self.init(
            patientID: row.text(start),
            issuer: row.text(start + 1),
            name: row.text(start + 2),
            birthDate: row.date(start + 3)?.dicom ?? "",
            sex: row.text(start + 4)
        )
    }
}

extension StudyAttributes {
    static let columns = "t.uid, t.date, t.time, t.accession, t.description, t.referring, t.study_id"
    static let columnCount = 7

    init(row: PostgresResult.Row, from start: Int) {
        self.init(
            studyInstanceUID: row.text(start),
            date: row.date(start + 1)?.dicom ?? "",
            time: row.text(start + 2),
            accessionNumber: row.text(start + 3),
            description: row.text(start + 4),
            referringPhysicianName: row.text(start + 5),
            studyID: row.text(start + 6)
        )
    }
}

extension SeriesAttributes {
    static let columns = """
        e.uid, e.modality, e.number, e.description, e.body_part, e.station, e.laterality, e.date, e.time, e.institution
        """
    static let columnCount = 10

    init(row: PostgresResult.Row, from start: Int) {
        self.init(
            seriesInstanceUID: row.text(start),
            modality: row.text(start + 1),
            number: row.int(start + 2),
            description: row.text(start + 3),
            bodyPartExamined: row.text(start + 4),
            stationName: row.text(start + 5),
            laterality: row.text(start + 6),
            date: row.date(start + 7)?.dicom ?? "",
            time: row.text(start + 8),
            institutionName: row.text(start + 9)
        )
    }
}

/// Columns that several levels share at the beginning of a row.
enum UpperColumns {
    static let study = "\(PatientAttributes.columns), \(StudyAttributes.columns)"
    static let series = "\(study), \(SeriesAttributes.columns)"

    static let studyStart = PatientAttributes.columnCount
    static let seriesStart = studyStart + StudyAttributes.columnCount
    static let afterStudy = seriesStart
    static let afterSeries = seriesStart + SeriesAttributes.columnCount
}
