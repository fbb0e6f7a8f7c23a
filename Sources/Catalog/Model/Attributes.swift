// SPDX-License-Identifier: Apache-2.0

/// What the catalog keeps of a patient.
///
/// Empty means absent.
///
/// A patient is known by (Patient ID, Issuer of Patient ID). Without a Patient ID nothing says that two studies are of
/// one person, so such a patient belongs to its study alone and is never merged with another.
public struct PatientAttributes: Sendable, Hashable {
    /// Patient ID (0010,0020).
    public var patientID: String
    /// Issuer of Patient ID (0010,0021).
    public var issuer: String
    /// Patient's Name (0010,0010), all component groups.
    public var name: String
    /// Patient's Birth Date (0010,0030), YYYYMMDD.
    public var birthDate: String
    /// Patient's Sex (0010,0040).
    public var sex: String

    public init(
        patientID: String = "",
        issuer: String = "",
        name: String = "",
        birthDate: String = "",
        sex: String = ""
    ) {
        self.patientID = patientID
        self.issuer = issuer
        self.name = name
        self.birthDate = birthDate
        self.sex = sex
    }
}

/// What the catalog keeps of a study.
///
/// Empty means absent.
public struct StudyAttributes: Sendable, Hashable {
    /// Study Instance UID (0020,000D).
    public var studyInstanceUID: String
    /// Study Date (0008,0020), YYYYMMDD.
    ///
    /// What is no date is not kept.
    public var date: String
    /// Study Time (0008,0030), HHMMSS.FFFFFF or its beginning.
    public var time: String
    /// Accession Number (0008,0050).
    public var accessionNumber: String
    /// Study Description (0008,1030).
    public var description: String
    /// Referring Physician's Name (0008,0090).
    public var referringPhysicianName: String
    /// Study ID (0020,0010).
    public var studyID: String

    public init(
        studyInstanceUID: String,
        date: String = "",
        time: String = "",
        accessionNumber: String = "",
        description: String = "",
        referringPhysicianName: String = "",
        studyID: String = ""
    ) {
        self.studyInstanceUID = studyInstanceUID
        self.date = date
        self.time = time
        self.accessionNumber = accessionNumber
        self.description = description
        self.referringPhysicianName = referringPhysicianName
        self.studyID = studyID
    }
}

/// What the catalog keeps of a series.
///
/// Empty means absent.
public struct SeriesAttributes: Sendable, Hashable {
    /// Series Instance UID (0020,000E).
    public var seriesInstanceUID: String
    /// Modality (0008,0060).
    public var modality: String
    /// Series Number (0020,0011).
    public var number: Int?
    /// Series Description (0008,103E).
    public var description: String
    /// Body Part Examined (0018,0015).
    public var bodyPartExamined: String
    /// Station Name (0008,1010).
    public var stationName: String
    /// Laterality (0020,0060).
    public var laterality: String
    /// Series Date (0008,0021), YYYYMMDD.
    ///
    /// What is no date is not kept.
    public var date: String
    /// Series Time (0008,0031), HHMMSS.FFFFFF or its beginning.
    public var time: String
    /// Institution Name (0008,0080).
    public var institutionName: String

    public init(
        seriesInstanceUID: String,
        modality: String = "",
        number: Int? = nil,
        description: String = "",
        bodyPartExamined: String = "",
        stationName: String = "",
        laterality: String = "",
        date: String = "",
        time: String = "",
        institutionName: String = ""
    ) {
        self.seriesInstanceUID = seriesInstanceUID
        self.modality = modality
        self.number = number
        self.description = description
        self.bodyPartExamined = bodyPartExamined
        self.stationName = stationName
        self.laterality = laterality
        self.date = date
        self.time = time
        self.institutionName = institutionName
    }
}

/// What the catalog keeps of an instance's own attributes.
public struct InstanceAttributes: Sendable, Hashable {
    /// SOP Instance UID (0008,0018).
    public var sopInstanceUID: String
    /// SOP Class UID (0008,0016).
    public var sopClassUID: String
    /// Instance Number (0020,0013).
    public var number: Int?
    /// Rows (0028,0010).
    public var rows: Int?
    /// Columns (0028,0011).
    public var columns: Int?
    /// Number of Frames (0028,0008).
    public var numberOfFrames: Int?

    public init(
        sopInstanceUID: String,
        sopClassUID: String,
        number: Int? = nil,
        rows: Int? = nil,
        columns: Int? = nil,
        numberOfFrames: Int? = nil
    ) {
        self.sopInstanceUID = sopInstanceUID
        self.sopClassUID = sopClassUID
        self.number = number
        self.rows = rows
        self.columns = columns
        self.numberOfFrames = numberOfFrames
    }
}
