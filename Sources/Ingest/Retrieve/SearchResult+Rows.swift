// SPDX-License-Identifier: Apache-2.0

import Catalog
import DICOMWeb

/// Rows of the catalog as results of a search. Empty texts stay away: such an attribute has no value.
extension SearchResult {
    init(_ patient: PatientAttributes) {
        self.init(study: "", attributes: [:])
        add(patient)
    }

    init(_ row: StudyRow) {
        self.init(study: row.studyInstanceUID, attributes: [:])
        add(row.patient, row.study)
        attributes[.modalitiesInStudy] = .strings(row.modalities)
        attributes[.numberOfStudyRelatedSeries] = .integers([row.seriesCount])
        attributes[.numberOfStudyRelatedInstances] = .integers([row.instanceCount])
    }

    init(_ row: SeriesRow) {
        self.init(study: row.studyInstanceUID, series: row.seriesInstanceUID, attributes: [:])
        add(row.patient, row.study)
        add(row.series)
        attributes[.numberOfSeriesRelatedInstances] = .integers([row.instanceCount])
    }

    init(_ row: InstanceQueryRow) {
        self.init(
            study: row.study.studyInstanceUID,
            series: row.series.seriesInstanceUID,
            instance: row.instance.sopInstanceUID,
            attributes: [:]
        )
        add(row.patient, row.study)
        add(row.series)
        addOwn(of: row)
    }

    /// What the instances of a series have in common.
    init(_ upper: UpperAttributes) {
        self.init(study: upper.study.studyInstanceUID, series: upper.series.seriesInstanceUID, attributes: [:])
        add(upper.patient, upper.study)
        add(upper.series)
    }

    /// An instance, without what the others of its series have, too.
    init(ownOf row: InstanceQueryRow) {
        self.init(
            study: row.study.studyInstanceUID,
            series: row.series.seriesInstanceUID,
            instance: row.instance.sopInstanceUID,
            attributes: [:]
        )
        addOwn(of: row)
    }

    private mutating func addOwn(of row: InstanceQueryRow) {
        set(.sopInstanceUID, row.instance.sopInstanceUID)
        set(.sopClassUID, row.instance.sopClassUID)
        set(.instanceNumber, row.instance.number)
        set(.rows, row.instance.rows)
        set(.columns, row.instance.columns)
        set(.numberOfFrames, row.instance.numberOfFrames)
        set(.availableTransferSyntaxUID, row.storedTransferSyntax)
    }

    private mutating func add(_ patient: PatientAttributes) {
        set(.patientID, patient.patientID)
        set(.issuerOfPatientID, patient.issuer)
        setName(.patientName, patient.name)
        set(.patientBirthDate, patient.birthDate)
        set(.patientSex, patient.sex)
    }

    private mutating func add(_ patient: PatientAttributes, _ study: StudyAttributes) {
        add(patient)
        set(.studyInstanceUID, study.studyInstanceUID)
        set(.studyDate, study.date)
        set(.studyTime, study.time)
        set(.accessionNumber, study.accessionNumber)
        set(.studyDescription, study.description)
        setName(.referringPhysicianName, study.referringPhysicianName)
        set(.studyID, study.studyID)
    }

    private mutating func add(_ series: SeriesAttributes) {
        set(.seriesInstanceUID, series.seriesInstanceUID)
        set(.modality, series.modality)
        set(.seriesNumber, series.number)
        set(.seriesDescription, series.description)
        set(.bodyPartExamined, series.bodyPartExamined)
        set(.stationName, series.stationName)
        set(.laterality, series.laterality)
        set(.seriesDate, series.date)
        set(.seriesTime, series.time)
        set(.institutionName, series.institutionName)
    }

    private mutating func set(_ attribute: QIDOAttribute, _ text: String) {
        if !text.isEmpty { attributes[attribute] = .strings([text]) }
    }

    private mutating func setName(_ attribute: QIDOAttribute, _ name: String) {
        if !name.isEmpty { attributes[attribute] = .personNames([name]) }
    }

    private mutating func set(_ attribute: QIDOAttribute, _ number: Int?) {
        if let number { attributes[attribute] = .integers([number]) }
    }
}
