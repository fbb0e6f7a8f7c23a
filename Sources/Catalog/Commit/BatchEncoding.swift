// SPDX-License-Identifier: Apache-2.0

import Checksums
import Placement

/// The object ids that a database gave to our row types and their arrays: read once a connection.
struct RowTypes: Sendable {
    var arrays: [UInt32]
    var elements: [UInt32]

    static let names = ["new_patient", "new_study", "new_series", "new_instance"]
}

/// The numbers that stand for an entry's texts, nodes and, when it is known, series.
struct ResolvedEntry {
    let prepared: PreparedEntry
    /// SOP class, received syntax, stored syntax, calling AE title.
    let terms: [Int32]
    let placement: Int32
    /// The series' row; 0 when it must be looked up or made.
    let series: Int64
}

/// A batch as the six parameters of `commit_instances`.
///
/// The rows' columns are those of migration 3; the words of names are migration 5's.
struct BatchEncoding {
    let parameters: [PostgresValue]
    /// The series that were given with their attributes, in the order the function answers in.
    let series: [PreparedEntry.SeriesKey]

    init(_ batch: [ResolvedEntry], types: RowTypes) {
        var above = UpperLevels()
        for resolved in batch where resolved.series == 0 { above.add(resolved.prepared) }
        self.series = above.series.map(\.key)
        self.parameters = [
            Self.array(types, 0, above.patients) { $0.patient($1) },
            .texts(above.patients.map { PersonNameKey($0.attributes.name).words }),
            Self.array(types, 1, above.studies) { $0.study($1) },
            .texts(above.studies.map { PersonNameKey($0.attributes.referringPhysicianName).words }),
            Self.array(types, 2, above.series) { $0.series($1) },
            Self.instances(batch, types: types),
        ]
    }

    /// The instances of a batch as one parameter.
    static func instances(_ batch: [ResolvedEntry], types: RowTypes) -> PostgresValue {
        array(types, 3, batch) { $0.instance($1) }
    }

    private static func array<Element>(
        _ types: RowTypes,
        _ index: Int,
        _ elements: [Element],
        _ encode: (inout PostgresEncoder, Element) -> Void
    ) -> PostgresValue {
        var encoder = PostgresEncoder()
        encoder.array(of: types.elements[index], elements, encode)
        return PostgresValue(type: types.arrays[index], bytes: encoder.bytes)
    }
}

/// The patients, studies and series of a batch, each once, with the attributes of all its instances combined.
private struct UpperLevels {
    struct Patient {
        let key: PreparedEntry.PatientKey
        var attributes: PatientAttributes
    }
    struct Study {
        let patient: PreparedEntry.PatientKey
        let receivedAtMilliseconds: Int64
        var attributes: StudyAttributes
    }
    struct Series {
        let key: PreparedEntry.SeriesKey
        var attributes: SeriesAttributes
    }

    private(set) var patients: [Patient] = []
    private(set) var studies: [Study] = []
    private(set) var series: [Series] = []
    private var patientPositions: [PreparedEntry.PatientKey: Int] = [:]
    private var studyPositions: [String: Int] = [:]
    private var seriesPositions: [PreparedEntry.SeriesKey: Int] = [:]

    mutating func add(_ prepared: PreparedEntry) {
        let entry = prepared.entry
        if let position = seriesPositions[prepared.seriesKey] {
            series[position].attributes.fill(from: entry.series)
        } else {
            seriesPositions[prepared.seriesKey] = series.count
            series.append(Series(key: prepared.seriesKey, attributes: entry.series))
        }
        let key = prepared.patientKey
        if let position = studyPositions[prepared.seriesKey.study] {
            studies[position].attributes.fill(from: entry.study)
            // A study has one patient, the first; another one in the same study is not entered.
            guard studies[position].patient == key else { return }
        } else {
            studyPositions[prepared.seriesKey.study] = studies.count
            studies.append(
                Study(patient: key, receivedAtMilliseconds: entry.receivedAtMilliseconds, attributes: entry.study)
            )
        }
        if let position = patientPositions[key] {
            patients[position].attributes.fill(from: entry.patient)
        } else {
            patientPositions[key] = patients.count
            patients.append(Patient(key: key, attributes: entry.patient))
        }
    }
}

extension PostgresEncoder {
    fileprivate mutating func patient(_ patient: UpperLevels.Patient) {
        let name = PersonNameKey(patient.attributes.name)
        row(columnCount: 9) { row in
            row.column(patient.key.patientID)
            row.column(patient.key.issuer)
            row.column(patient.key.scope)
            row.column(patient.attributes.name)
            row.column(name.alphabetic)
            row.column(name.ideographic)
            row.column(name.phonetic)
            row.column(CivilDate(dicom: patient.attributes.birthDate))
            row.column(patient.attributes.sex)
        }
    }

    fileprivate mutating func study(_ study: UpperLevels.Study) {
        let attributes = study.attributes
        row(columnCount: 12) { row in
            row.column(study.patient.patientID)
            row.column(study.patient.issuer)
            row.column(study.patient.scope)
            row.column(attributes.studyInstanceUID)
            row.column(study.receivedAtMilliseconds)
            row.column(CivilDate(dicom: attributes.date))
            row.column(attributes.time)
            row.column(attributes.accessionNumber)
            row.column(attributes.studyID)
            row.column(attributes.description)
            row.column(attributes.referringPhysicianName)
            row.column(PersonNameKey(attributes.referringPhysicianName).alphabetic)
        }
    }

    fileprivate mutating func series(_ series: UpperLevels.Series) {
        let attributes = series.attributes
        row(columnCount: 11) { row in
            row.column(series.key.study)
            row.column(series.key.series)
            row.column(attributes.number.flatMap { Int32(exactly: $0) })
            row.column(CivilDate(dicom: attributes.date))
            row.column(attributes.time)
            row.column(attributes.modality)
            row.column(attributes.description)
            row.column(attributes.bodyPartExamined)
            row.column(attributes.stationName)
            row.column(attributes.laterality)
            row.column(attributes.institutionName)
        }
    }

    fileprivate mutating func instance(_ resolved: ResolvedEntry) {
        let entry = resolved.prepared.entry
        let isKnown = resolved.series != 0
        row(columnCount: 19) { row in
            row.column(resolved.series)
            row.column(isKnown ? "" : entry.study.studyInstanceUID)
            row.column(isKnown ? "" : entry.series.seriesInstanceUID)
            row.column(entry.receivedAtMilliseconds)
            row.column(Int64(entry.receivedByteCount))
            row.column(Int64(entry.storedByteCount))
            for term in resolved.terms { row.column(Int32?(term)) }
            row.column(Int32?(resolved.placement))
            row.column(entry.instance.number.flatMap { Int32(exactly: $0) })
            row.column(entry.instance.rows.flatMap { Int32(exactly: $0) })
            row.column(entry.instance.columns.flatMap { Int32(exactly: $0) })
            row.column(entry.instance.numberOfFrames.flatMap { Int32(exactly: $0) })
            row.column(uuidHigh: entry.recordID.high, low: entry.recordID.low)
            row.column(entry.instance.sopInstanceUID)
            row.column(entry.contentDigest)
            row.column(entry.pixelDigest)
        }
    }
}
