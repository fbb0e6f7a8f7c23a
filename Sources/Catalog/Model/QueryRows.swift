// SPDX-License-Identifier: Apache-2.0

public import Placement

/// A patient that matched a query.
public struct PatientRow: Sendable, Hashable {
    public var patient: PatientAttributes
    /// Number of Patient Related Studies (0020,1200).
    public var studyCount: Int
    /// Number of Patient Related Series (0020,1202).
    public var seriesCount: Int
    /// Number of Patient Related Instances (0020,1204).
    public var instanceCount: Int
}

/// A study that matched a query.
public struct StudyRow: Sendable, Hashable {
    public var patient: PatientAttributes
    public var study: StudyAttributes
    /// Modalities in Study (0008,0061), sorted.
    public var modalities: [String]
    /// Number of Study Related Series (0020,1206).
    public var seriesCount: Int
    /// Number of Study Related Instances (0020,1208).
    public var instanceCount: Int

    public var studyInstanceUID: String { study.studyInstanceUID }
}

/// A series that matched a query.
public struct SeriesRow: Sendable, Hashable {
    public var patient: PatientAttributes
    public var study: StudyAttributes
    public var series: SeriesAttributes
    /// Number of Series Related Instances (0020,1209).
    public var instanceCount: Int

    public var studyInstanceUID: String { study.studyInstanceUID }
    public var seriesInstanceUID: String { series.seriesInstanceUID }
}

/// An instance that matched a query.
public struct InstanceQueryRow: Sendable, Hashable {
    /// The same object for all instances of a series in one answer.
    public var upper: UpperAttributes
    public var instance: InstanceAttributes
    public var storedTransferSyntax: String
    public var recordID: RecordID

    public var patient: PatientAttributes { upper.patient }
    public var study: StudyAttributes { upper.study }
    public var series: SeriesAttributes { upper.series }
}

/// What the instances of a series have in common.
public final class UpperAttributes: Sendable, Hashable {
    public let patient: PatientAttributes
    public let study: StudyAttributes
    public let series: SeriesAttributes

    public init(patient: PatientAttributes, study: StudyAttributes, series: SeriesAttributes) {
        self.patient = patient
        self.study = study
        self.series = series
    }

    public static func == (left: UpperAttributes, right: UpperAttributes) -> Bool {
        left === right || (left.patient == right.patient && left.study == right.study && left.series == right.series)
    }

    public func hash(into hasher: inout Hasher) {
        hasher.combine(patient)
        hasher.combine(study)
        hasher.combine(series)
    }
}

/// A study in a listing of the archive.
public struct StudySummary: Sendable, Hashable {
    public var patient: PatientAttributes
    public var study: StudyAttributes
    /// Sorted.
    public var modalities: [String]
    public var seriesCount: Int
    public var instanceCount: Int
    /// Bytes of all data sets as received.
    public var receivedByteCount: Int
    /// Bytes of all payloads as stored, one copy of each.
    public var storedByteCount: Int
    /// When its first instance came: milliseconds since 1970.
    public var receivedAtMilliseconds: Int64
    /// When its latest instance came: milliseconds since 1970.
    public var lastReceivedAtMilliseconds: Int64
    /// Where a listing goes on after this study.
    public var cursor: StudyCursor

    public var studyInstanceUID: String { study.studyInstanceUID }

    /// Bytes received for each byte stored; `nil` while nothing is stored.
    public var compressionRatio: Double? {
        storedByteCount > 0 ? Double(receivedByteCount) / Double(storedByteCount) : nil
    }
}

/// A place in the listing of studies, newest first.
///
/// Stays valid while studies come and go.
public struct StudyCursor: Sendable, Hashable {
    /// For carrying the cursor through an API.
    public let rawValue: Int64

    public init(rawValue: Int64) { self.rawValue = rawValue }
}

/// Everything the catalog has of one study.
public struct StudyDetails: Sendable, Hashable {
    public var summary: StudySummary
    /// By series number.
    public var series: [SeriesRow]
    /// By series, then by instance number.
    public var instances: [InstanceRow]
}
