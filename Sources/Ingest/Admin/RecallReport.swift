// SPDX-License-Identifier: Apache-2.0

import Catalog
import PackFormat
import Placement
import Telemetry

/// What POST to `/api/v1/studies/{uid}/recall` and `.../recall/cancel` takes.
public struct RecallOrderRequest: Codable, Sendable {
    /// Why; kept for ever.
    public var reason: String

    public init(reason: String) {
        self.reason = reason
    }
}

/// A recall of a study from packs, and how far it is.
public struct RecallReport: Codable, Sendable {
    public var id: Int64
    /// Study Instance UID.
    public var study: String
    /// `person` or `policy`: who waits for it.
    public var urgency: String
    /// `under way`, `waits for medium`, `done` or `needs a person`.
    public var state: String
    /// Failures in turn.
    public var attempts: Int
    /// What was in packs only when it was ordered, and what has come back of it.
    public var wantedInstances: Int
    public var wantedBytes: Int64
    public var instances: Int
    public var bytes: Int64
    /// Since the first instance came back; nil before that, and when it was too short to be measured.
    public var bytesPerSecond: Double?
    public var requestedAt: String
    public var requestedBy: String
    public var reason: String
    public var startedAt: String?
    public var doneAt: String?
    /// What is in the way, or what became of it.
    public var note: String
    /// Since when media are missing, and the packs that are on them; nil of a server that knows no such thing.
    public var waitsSince: String?
    public var wantedPacks: [WantedPack]?

    /// A pack whose medium is to be brought.
    public struct WantedPack: Codable, Sendable, Equatable {
        /// The store, as a URL, and the name in it.
        public var place: String
        public var key: String
    }

    init(_ recall: StudyRecall, now: Int64 = Timestamp.now().milliseconds) {
        self.id = recall.id
        self.study = recall.studyInstanceUID
        self.urgency = "\(recall.urgency)"
        switch recall.state {
        case .underWay: self.state = recall.waitsSinceMilliseconds == nil ? "under way" : "waits for medium"
        case .done: self.state = "done"
        case .needsPerson: self.state = "needs a person"
        }
        self.attempts = recall.attemptCount
        self.wantedInstances = recall.wantedInstanceCount
        self.wantedBytes = recall.wantedByteCount
        self.instances = recall.instanceCount
        self.bytes = recall.byteCount
        let elapsed = recall.startedAtMilliseconds.map { (recall.doneAtMilliseconds ?? now) - $0 } ?? 0
        self.bytesPerSecond = elapsed > 0 ? Double(recall.byteCount) * 1000 / Double(elapsed) : nil
        self.requestedAt = Timestamp(milliseconds: recall.requestedAtMilliseconds).text
        self.requestedBy = recall.requestedBy
        self.reason = recall.reason
        self.startedAt = recall.startedAtMilliseconds.map { Timestamp(milliseconds: $0).text }
        self.doneAt = recall.doneAtMilliseconds.map { Timestamp(milliseconds: $0).text }
        self.note = recall.note
        self.waitsSince = recall.waitsSinceMilliseconds.map { Timestamp(milliseconds: $0).text }
        let packs = recall.wantedPacks.map { wanted in
            WantedPack(
                place: wanted.place,
                key: PackDescription.key(
                    of: PackID(high: wanted.pack.high, low: wanted.pack.low),
                    study: recall.studyInstanceUID
                )
            )
        }
        self.wantedPacks = packs.isEmpty ? nil : packs
    }
}
