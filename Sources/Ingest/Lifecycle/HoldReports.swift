// SPDX-License-Identifier: Apache-2.0

import Catalog
import Telemetry

/// What `POST /api/v1/holds` takes: one of `study`, `patientID` and `query`.
public struct HoldRequest: Codable, Sendable {
    /// What people call the hold: the case, the trial.
    public var name: String
    /// Why; kept for ever with the hold.
    public var reason: String
    /// Study Instance UID.
    public var study: String?
    /// All studies of the patient, also those that come later.
    public var patientID: String?
    /// Of the Patient ID; nil: of any issuer.
    public var issuer: String?
    /// The studies that a search of QIDO-RS finds now: `ModalitiesInStudy=MG&StudyDate=-20151231`.
    public var query: String?

    public init(
        name: String,
        reason: String,
        study: String? = nil,
        patientID: String? = nil,
        issuer: String? = nil,
        query: String? = nil
    ) {
        self.name = name
        self.reason = reason
        self.study = study
        self.patientID = patientID
        self.issuer = issuer
        self.query = query
    }
}

/// What `POST /api/v1/holds/{number}/release` takes.
public struct HoldReleaseRequest: Codable, Sendable {
    /// Why; kept for ever with the hold.
    public var reason: String

    public init(reason: String) {
        self.reason = reason
    }
}

/// What `POST /api/v1/studies/{uid}/tags` takes.
public struct TagRequest: Codable, Sendable {
    public var add: [String]?
    public var remove: [String]?

    public init(add: [String], remove: [String]) {
        self.add = add
        self.remove = remove
    }
}

/// One row of `GET /api/v1/holds`.
public struct HoldReport: Codable, Sendable {
    public var number: Int64
    public var name: String
    public var reason: String
    public var placedBy: String
    /// RFC 3339, UTC.
    public var placedAt: String
    /// Nil unless it holds a patient's studies.
    public var patientID: String?
    public var issuer: String?
    /// Nil unless the studies were found by a search.
    public var query: String?
    /// The study, where it holds only one that was named.
    public var study: String?
    /// Studies that it holds, of a patient those that are there now.
    public var studies: Int
    /// Studies of which some storage nodes have not been told yet that they are held by it, or no longer are.
    public var untold: Int
    /// Nil while it is in force.
    public var releasedAt: String?
    public var releasedBy: String?
    public var releaseReason: String?
}

extension HoldReport {
    init(_ hold: Hold) {
        let isOne = hold.patientID.isEmpty && hold.query.isEmpty && hold.studyCount == 1
        self.init(
            number: hold.number,
            name: hold.name,
            reason: hold.reason,
            placedBy: hold.placedBy,
            placedAt: Timestamp(milliseconds: hold.placedAtMilliseconds).text,
            patientID: hold.patientID.isEmpty ? nil : hold.patientID,
            issuer: hold.issuer.isEmpty ? nil : hold.issuer,
            query: hold.query.isEmpty ? nil : hold.query,
            study: isOne ? hold.firstStudy : nil,
            studies: hold.studyCount,
            untold: hold.untoldCount,
            releasedAt: hold.release.map { Timestamp(milliseconds: $0.atMilliseconds).text },
            releasedBy: hold.release?.releasedBy,
            releaseReason: hold.release?.reason
        )
    }
}
