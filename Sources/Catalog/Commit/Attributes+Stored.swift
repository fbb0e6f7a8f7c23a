// SPDX-License-Identifier: Apache-2.0

// The stored form of attributes: cleaned text, dates that are dates, numbers that fit; and the rule for attributes that
// come more than once: the first value stays, an empty one is filled.

extension PatientAttributes {
    mutating func clean() {
        patientID = StoredText.clean(patientID)
        issuer = StoredText.clean(issuer)
        name = StoredText.clean(name)
        birthDate = CivilDate(dicom: birthDate)?.dicom ?? ""
        sex = StoredText.clean(sex)
    }

    mutating func fill(from other: Self) {
        Self.textPaths.fill(&self, from: other)
    }

    private static let textPaths = TextPaths<Self>([\.name, \.birthDate, \.sex])
}

extension StudyAttributes {
    mutating func clean() {
        studyInstanceUID = StoredText.clean(studyInstanceUID)
        date = CivilDate(dicom: date)?.dicom ?? ""
        time = StoredText.time(time)
        accessionNumber = StoredText.clean(accessionNumber)
        description = StoredText.clean(description)
        referringPhysicianName = StoredText.clean(referringPhysicianName)
        studyID = StoredText.clean(studyID)
    }

    mutating func fill(from other: Self) {
        Self.textPaths.fill(&self, from: other)
    }

    private static let textPaths = TextPaths<Self>([
        \.date, \.time, \.accessionNumber, \.description, \.referringPhysicianName, \.studyID,
    ])
}

extension SeriesAttributes {
    mutating func clean() {
        seriesInstanceUID = StoredText.clean(seriesInstanceUID)
        modality = StoredText.clean(modality)
        number = number.flatMap { Int32(exactly: $0) }.map { Int($0) }
        description = StoredText.clean(description)
        bodyPartExamined = StoredText.clean(bodyPartExamined)
        stationName = StoredText.clean(stationName)
        laterality = StoredText.clean(laterality)
        date = CivilDate(dicom: date)?.dicom ?? ""
        time = StoredText.time(time)
        institutionName = StoredText.clean(institutionName)
    }

    mutating func fill(from other: Self) {
        Self.textPaths.fill(&self, from: other)
        number = number ?? other.number
    }

    private static let textPaths = TextPaths<Self>([
        \.modality, \.description, \.bodyPartExamined, \.stationName, \.laterality, \.date, \.time, \.institutionName,
    ])
}

extension InstanceAttributes {
    mutating func clean() {
        sopInstanceUID = StoredText.clean(sopInstanceUID)
        sopClassUID = StoredText.clean(sopClassUID)
    }
}

/// The text attributes of a level, for filling those that are empty.
private struct TextPaths<Root: Sendable>: Sendable {
    private let paths: [any WritableKeyPath<Root, String> & Sendable]

    init(_ paths: [any WritableKeyPath<Root, String> & Sendable]) { self.paths = paths }

    func fill(_ root: inout Root, from other: Root) {
        for path in paths where root[keyPath: path].isEmpty { root[keyPath: path] = other[keyPath: path] }
    }
}
