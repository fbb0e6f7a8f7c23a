// SPDX-License-Identifier: Apache-2.0

import Catalog
import PackFormat
import Telemetry

/// What POST to `/api/v1/studies/{uid}/move` takes.
public struct MoveRequest: Codable, Sendable {
    /// A tier of packs of the rules that hold.
    public var tier: String
    /// The copies on storage nodes are to stay for good.
    public var keepHot: Bool
    /// How long packs stand before they are read a second time.
    public var soakSeconds: Int64
    /// Why; kept for ever.
    public var reason: String

    public init(tier: String, keepHot: Bool, soakSeconds: Int64, reason: String) {
        self.tier = tier
        self.keepHot = keepHot
        self.soakSeconds = soakSeconds
        self.reason = reason
    }
}

/// What POST to `/api/v1/studies/{uid}/move/cancel` takes.
public struct MoveCancellation: Codable, Sendable {
    /// Why; kept for ever.
    public var reason: String

    public init(reason: String) {
        self.reason = reason
    }
}

/// A move of a study into packs, and how far it is.
public struct MoveReport: Codable, Sendable {
    public var id: Int64
    /// Study Instance UID.
    public var study: String
    public var tier: String
    /// The store, as a URL.
    public var place: String
    /// `coming back` (from packs of another tier), `under way`, `standing`, `done` or `needs a person`.
    public var state: String
    public var keepHot: Bool
    /// Failures in turn.
    public var attempts: Int
    public var requestedAt: String
    public var requestedBy: String
    public var reason: String
    public var doneAt: String?
    /// What is in the way, or what became of it.
    public var note: String

    init(_ move: PackMove) {
        self.id = move.id
        self.study = move.studyInstanceUID
        self.tier = move.tier
        self.place = move.place
        switch move.state {
        case .underWay: self.state = move.soakLeft.map { $0 > .zero } ?? false ? "standing" : "under way"
        case .done: self.state = "done"
        case .needsPerson: self.state = "needs a person"
        case .comingBack: self.state = "coming back"
        }
        self.keepHot = move.keepsHot
        self.attempts = move.attemptCount
        self.requestedAt = Timestamp(milliseconds: move.requestedAtMilliseconds).text
        self.requestedBy = move.requestedBy
        self.reason = move.reason
        self.doneAt = move.doneAtMilliseconds.map { Timestamp(milliseconds: $0).text }
        self.note = move.note
    }
}

/// A pack of a study.
public struct PackReport: Codable, Sendable {
    public var pack: String
    public var tier: String
    /// The store, as a URL, and the name in it.
    public var place: String
    public var key: String
    public var part: Int
    public var parts: Int
    /// `planned`, `placed`, `verified`, `counted` (read from) or `givenUp`.
    public var state: String
    public var instances: Int
    public var bytes: Int64
    /// Of all of the pack.
    public var sha256: String?
    public var writtenAt: String?
    /// When all of it was read last, and was sound; nil: never, or it is in doubt since.
    public var verifiedAt: String?
    public var note: String

    init(_ pack: ColdPack) {
        let id = PackID(high: pack.idHigh, low: pack.idLow)
        self.pack = "\(id)"
        self.tier = pack.tier
        self.place = pack.place
        self.key = PackDescription.key(of: id, study: pack.studyInstanceUID)
        self.part = pack.part
        self.parts = pack.partCount
        self.state = "\(pack.state)"
        self.instances = pack.instanceCount
        self.bytes = pack.byteCount
        self.sha256 = pack.digest.map { "\($0)" }
        self.writtenAt = pack.writtenAtMilliseconds.map { Timestamp(milliseconds: $0).text }
        self.verifiedAt = pack.verifiedAtMilliseconds.map { Timestamp(milliseconds: $0).text }
        self.note = pack.note
    }
}

/// A tier of the rules that hold, or of moves of the past, and what is in it.
public struct TierReport: Codable, Sendable {
    public var tier: String
    /// `nodes`, `directory` or `bucket`; `gone` for one that the rules have no more.
    public var kind: String
    /// The label of nodes, or the store as a URL.
    public var place: String
    public var packs: Int
    public var studies: Int
    public var bytes: Int64
    /// When the pack was read whole that was read longest ago; nil without packs, and when one is in doubt.
    public var oldestVerifiedAt: String?
    public var movesUnderWay: Int
    public var movesNeedingPerson: Int
    /// Instances in its packs that were deleted and whose time in the trash is over, and those packs; nil: there are none.
    public var deletedInstances: Int?
    public var packsWithDeleted: Int?
    /// Packs that are on media that are not at hand, as they were looked for last; nil: there are none.
    public var offlinePacks: Int?

    init(_ name: String, kind: String, place: String, _ totals: TierTotals?) {
        self.tier = name
        self.kind = kind
        self.place = place
        self.packs = totals?.packCount ?? 0
        self.studies = totals?.studyCount ?? 0
        self.bytes = totals?.byteCount ?? 0
        let oldest = totals?.oldestVerifiedAtMilliseconds ?? 0
        self.oldestVerifiedAt = oldest > 0 ? Timestamp(milliseconds: oldest).text : nil
        self.movesUnderWay = totals?.movesUnderWay ?? 0
        self.movesNeedingPerson = totals?.movesNeedingPerson ?? 0
        self.offlinePacks = totals.flatMap { $0.offlineCount > 0 ? $0.offlineCount : nil }
    }
}
