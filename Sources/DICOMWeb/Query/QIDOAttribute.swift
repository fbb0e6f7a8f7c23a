// SPDX-License-Identifier: Apache-2.0

/// The level of a search.
public enum QIDOLevel: Int, Sendable, Hashable, Comparable {
    case study, series, instance

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}

/// The attributes a search can match or return; the raw value is the tag, group in the upper half.
public enum QIDOAttribute: UInt32, Sendable, Hashable, CaseIterable, Comparable {
    case sopClassUID = 0x0008_0016
    case sopInstanceUID = 0x0008_0018
    case studyDate = 0x0008_0020
    case seriesDate = 0x0008_0021
    case studyTime = 0x0008_0030
    case seriesTime = 0x0008_0031
    case accessionNumber = 0x0008_0050
    case instanceAvailability = 0x0008_0056
    case modality = 0x0008_0060
    case modalitiesInStudy = 0x0008_0061
    case institutionName = 0x0008_0080
    case referringPhysicianName = 0x0008_0090
    case stationName = 0x0008_1010
    case studyDescription = 0x0008_1030
    case seriesDescription = 0x0008_103E
    case retrieveURL = 0x0008_1190
    case availableTransferSyntaxUID = 0x0008_3002
    case patientName = 0x0010_0010
    case patientID = 0x0010_0020
    case issuerOfPatientID = 0x0010_0021
    case patientBirthDate = 0x0010_0030
    case patientSex = 0x0010_0040
    case bodyPartExamined = 0x0018_0015
    case studyInstanceUID = 0x0020_000D
    case seriesInstanceUID = 0x0020_000E
    case studyID = 0x0020_0010
    case seriesNumber = 0x0020_0011
    case instanceNumber = 0x0020_0013
    case laterality = 0x0020_0060
    case numberOfStudyRelatedSeries = 0x0020_1206
    case numberOfStudyRelatedInstances = 0x0020_1208
    case numberOfSeriesRelatedInstances = 0x0020_1209
    case numberOfFrames = 0x0028_0008
    case rows = 0x0028_0010
    case columns = 0x0028_0011

    public var tag: UInt32 { rawValue }

    /// The keyword of PS3.6.
    public var keyword: String { Self.definitions[self]?.keyword ?? "" }

    /// The value representation of PS3.6.
    public var vr: String { Self.definitions[self]?.vr ?? "UN" }

    /// The level the attribute belongs to; patients' attributes belong to the study.
    public var level: QIDOLevel { Self.definitions[self]?.level ?? .instance }

    /// Whether a value for it restricts a search.
    public var isMatchable: Bool { Self.definitions[self]?.role != .returned }

    /// Whether it is returned without being asked for (PS3.18 tables 10.6.3-3 to 10.6.3-5, and the descriptions that
    /// every viewer's study list shows).
    public var isReturnedByDefault: Bool { Self.definitions[self]?.role != .optional }

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    /// The attribute with this keyword.
    public init?(keyword: String) {
        guard let attribute = Self.byKeyword[keyword] else { return nil }
        self = attribute
    }

    private enum Role { case matched, optional, returned }

    private struct Definition {
        let keyword: String
        let vr: String
        let level: QIDOLevel
        let role: Role

        init(_ keyword: String, _ vr: String, _ level: QIDOLevel, _ role: Role = .matched) {
            self.keyword = keyword
            self.vr = vr
            self.level = level
            self.role = role
        }
    }

    private static let byKeyword: [String: Self] = Dictionary(
        uniqueKeysWithValues: definitions.map { ($0.value.keyword, $0.key) }
    )

    private static let definitions: [Self: Definition] = [
        .sopClassUID: Definition("SOPClassUID", "UI", .instance),
        .sopInstanceUID: Definition("SOPInstanceUID", "UI", .instance),
        .studyDate: Definition("StudyDate", "DA", .study),
        .seriesDate: Definition("SeriesDate", "DA", .series, .optional),
        .studyTime: Definition("StudyTime", "TM", .study),
        .seriesTime: Definition("SeriesTime", "TM", .series, .optional),
        .accessionNumber: Definition("AccessionNumber", "SH", .study),
        .instanceAvailability: Definition("InstanceAvailability", "CS", .study, .returned),
        .modality: Definition("Modality", "CS", .series),
        .modalitiesInStudy: Definition("ModalitiesInStudy", "CS", .study),
        .institutionName: Definition("InstitutionName", "LO", .series, .optional),
        .referringPhysicianName: Definition("ReferringPhysicianName", "PN", .study),
        .stationName: Definition("StationName", "SH", .series, .optional),
        .studyDescription: Definition("StudyDescription", "LO", .study),
        .seriesDescription: Definition("SeriesDescription", "LO", .series),
        .retrieveURL: Definition("RetrieveURL", "UR", .study, .returned),
        .availableTransferSyntaxUID: Definition("AvailableTransferSyntaxUID", "UI", .instance, .returned),
        .patientName: Definition("PatientName", "PN", .study),
        .patientID: Definition("PatientID", "LO", .study),
        .issuerOfPatientID: Definition("IssuerOfPatientID", "LO", .study, .optional),
        .patientBirthDate: Definition("PatientBirthDate", "DA", .study),
        .patientSex: Definition("PatientSex", "CS", .study),
        .bodyPartExamined: Definition("BodyPartExamined", "CS", .series, .optional),
        .studyInstanceUID: Definition("StudyInstanceUID", "UI", .study),
        .seriesInstanceUID: Definition("SeriesInstanceUID", "UI", .series),
        .studyID: Definition("StudyID", "SH", .study),
        .seriesNumber: Definition("SeriesNumber", "IS", .series),
        .instanceNumber: Definition("InstanceNumber", "IS", .instance),
        .laterality: Definition("Laterality", "CS", .series, .optional),
        .numberOfStudyRelatedSeries: Definition("NumberOfStudyRelatedSeries", "IS", .study, .returned),
        .numberOfStudyRelatedInstances: Definition("NumberOfStudyRelatedInstances", "IS", .study, .returned),
        .numberOfSeriesRelatedInstances: Definition("NumberOfSeriesRelatedInstances", "IS", .series, .returned),
        .numberOfFrames: Definition("NumberOfFrames", "IS", .instance, .returned),
        .rows: Definition("Rows", "US", .instance, .returned),
        .columns: Definition("Columns", "US", .instance, .returned),
    ]
}
