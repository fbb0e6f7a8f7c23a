// SPDX-License-Identifier: Apache-2.0

/// A question about studies, series or instances: every condition must hold.
public struct CatalogQuery: Sendable, Hashable {
    /// The most rows of one answer, whatever the limit asked for.
    public static let maximumLimit = 10_000
    /// The most values of one list, and the most conditions of one query.
    public static let maximumListCount = 10_000
    public static let maximumMatchCount = 64

    public var matches: [CatalogMatch]
    /// The most rows wanted.
    public var limit: Int
    /// Rows to leave out at the beginning, all of which are looked for all the same: `after` is the way to read on.
    public var offset: Int
    /// Where the answer begins, if not at its beginning.
    public var after: CatalogCursor?
    /// When both Study Date and Study Time are ranges, or Series Date and Series Time: whether they bound one point in
    /// time (PS3.4 C.2.2.2.5.4) instead of each being matched by itself.
    public var combinesDateAndTime: Bool
    /// Whether names match that sound alike, or of which words begin alike, in any order (PS3.4 C.2.2.2.1).
    ///
    /// Values with wildcards elsewhere than at the end of words are matched as without it.
    public var isFuzzy: Bool

    public init(
        matches: [CatalogMatch] = [],
        limit: Int = 100,
        offset: Int = 0,
        after: CatalogCursor? = nil,
        combinesDateAndTime: Bool = false,
        isFuzzy: Bool = false
    ) {
        self.matches = matches
        self.limit = limit
        self.offset = offset
        self.after = after
        self.combinesDateAndTime = combinesDateAndTime
        self.isFuzzy = isFuzzy
    }
}

/// One condition of a query (PS3.4 C.2.2.2).
public struct CatalogMatch: Sendable, Hashable {
    /// How values are compared.
    ///
    /// Leading and trailing spaces do not count; an empty value matches everything.
    public enum Condition: Sendable, Hashable {
        /// Equal; names without regard to case, diacritics, widths of characters and punctuation (`NameFolding`).
        case single(String)
        /// `*` stands for any characters, `?` for one; on dates, times, UIDs and numbers both are ordinary characters.
        case wildcard(String)
        /// Between two dates or times, both included; open where `nil` or empty.
        case range(from: String?, to: String?)
        /// Equal to any of these.
        case list([String])
    }

    public let key: CatalogKey
    public let condition: Condition

    public init(_ key: CatalogKey, _ condition: Condition) {
        self.key = key
        self.condition = condition
    }
}

/// The attributes that can be searched.
public enum CatalogKey: Sendable, Hashable, CaseIterable {
    case patientID
    case issuerOfPatientID
    case patientName
    case patientBirthDate
    case patientSex
    case studyInstanceUID
    case studyDate
    case studyTime
    case accessionNumber
    case studyID
    case studyDescription
    case referringPhysicianName
    case modalitiesInStudy
    case seriesInstanceUID
    case modality
    case seriesNumber
    case seriesDescription
    case bodyPartExamined
    case stationName
    case laterality
    case seriesDate
    case seriesTime
    case institutionName
    case sopInstanceUID
    case sopClassUID
    case instanceNumber

    /// The level of the information model the attribute belongs to.
    public var level: CatalogLevel {
        switch self {
        case .patientID, .issuerOfPatientID, .patientName, .patientBirthDate, .patientSex, .studyInstanceUID,
            .studyDate, .studyTime, .accessionNumber, .studyID, .studyDescription, .referringPhysicianName,
            .modalitiesInStudy:
            .study
        case .seriesInstanceUID, .modality, .seriesNumber, .seriesDescription, .bodyPartExamined, .stationName,
            .laterality, .seriesDate, .seriesTime, .institutionName:
            .series
        case .sopInstanceUID, .sopClassUID, .instanceNumber:
            .instance
        }
    }
}

extension CatalogKey {
    /// Whether the attribute is the patient's.
    var isOfPatient: Bool {
        switch self {
        case .patientID, .issuerOfPatientID, .patientName, .patientBirthDate, .patientSex: true
        default: false
        }
    }
}

/// The levels of a query, the patient's attributes being part of the study's.
public enum CatalogLevel: Int, Sendable, Hashable, Comparable {
    case study
    case series
    case instance

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}
