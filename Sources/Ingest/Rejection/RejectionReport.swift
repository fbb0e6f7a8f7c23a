// SPDX-License-Identifier: Apache-2.0

import Catalog
import Telemetry

/// What `POST /api/v1/rejections/{id}/approve` and `…/dismiss` take.
public struct RejectionDecisionRequest: Codable, Sendable {
    /// Why; kept for ever with the note.
    public var reason: String

    public init(reason: String) {
        self.reason = reason
    }
}

/// One row of `GET /api/v1/rejections`.
public struct RejectionReport: Codable, Sendable {
    public var id: Int64
    /// SOP Instance UID of the document.
    public var sopInstanceUID: String
    /// The calling AE title that sent it; nil over HTTP.
    public var sender: String?
    /// RFC 3339, UTC.
    public var receivedAt: String
    /// `unread`, `waiting for approval`, `held`, `wanted`, `in force`, `dismissed` or `unreadable`.
    public var state: String
    /// The code of its title; nil before it was read.
    public var title: String?
    public var meaning: String?
    /// One of the studies that it names.
    public var studyInstanceUID: String?
    /// Instances that it names, that it has retired, and that it waits for.
    public var instances: Int
    public var retired: Int
    public var awaited: Int
    public var actedAt: String?
    public var decidedBy: String?
    public var decisionReason: String?
    /// What is in the way.
    public var note: String?
}

extension RejectionReport {
    init(_ note: RejectionNote) {
        self.init(
            id: note.id,
            sopInstanceUID: note.instance,
            sender: note.sender.isEmpty ? nil : note.sender,
            receivedAt: Timestamp(milliseconds: note.receivedAtMilliseconds).text,
            state: Self.name(of: note),
            title: note.title.isEmpty ? nil : note.title,
            meaning: RejectionTitle(rawValue: note.title)?.meaning,
            studyInstanceUID: note.study.isEmpty ? nil : note.study,
            instances: note.namedCount,
            retired: note.retiredCount,
            awaited: note.awaitedCount,
            actedAt: note.actedAtMilliseconds.map { Timestamp(milliseconds: $0).text },
            decidedBy: note.decidedBy.isEmpty ? nil : note.decidedBy,
            decisionReason: note.decisionReason.isEmpty ? nil : note.decisionReason,
            note: note.obstacle.isEmpty ? nil : note.obstacle
        )
    }

    private static func name(of note: RejectionNote) -> String {
        switch note.state {
        case .unread: "unread"
        case .unapproved: "waiting for approval"
        case .wanted: note.obstacle.isEmpty ? "wanted" : "held"
        case .inForce: "in force"
        case .dismissed: "dismissed"
        case .unreadable: "unreadable"
        }
    }
}
