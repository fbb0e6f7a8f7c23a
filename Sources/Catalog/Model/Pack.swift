// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import Placement

/// A pack as the catalog knows it.
public struct ColdPack: Hashable, Sendable {
    public enum State: Int, Sendable {
        case planned = 1
        /// Durable in its store, under its name.
        case placed = 2
        /// Read back, and sound.
        case verified = 3
        /// Read from.
        case counted = 4
        /// Damaged, or not wanted any more; what is in the store is nobody's.
        case givenUp = 5
        /// It goes from its store, and is not read from any more.
        case beingRemoved = 6
        case removed = 7
    }

    /// The id, in two halves.
    public var idHigh: UInt64
    public var idLow: UInt64
    public var move: Int64
    public var tier: String
    /// The store, as a URL.
    public var place: String
    public var studyInstanceUID: String
    public var part: Int
    public var partCount: Int
    public var state: State
    public var createdAtMilliseconds: Int64
    /// 0 until it is placed.
    public var byteCount: Int64
    public var digest: SHA256Digest?
    public var writtenAtMilliseconds: Int64?
    /// The node that wrote it.
    public var writer: NodeID?
    /// When all of it was read last, and was sound.
    public var verifiedAtMilliseconds: Int64?
    /// Whether that was after its time of standing.
    public var isVerifiedAgain: Bool
    public var instanceCount: Int
    /// What was wrong with it; for people.
    public var note: String
    /// Where the record that was asked for lies in it (`PackFormat.RecordPlace`); nil when none was, or it is not known.
    public var recordPlace: [UInt8]?

    public init(
        idHigh: UInt64,
        idLow: UInt64,
        move: Int64,
        tier: String,
        place: String,
        studyInstanceUID: String,
        part: Int,
        partCount: Int,
        state: State,
        createdAtMilliseconds: Int64,
        byteCount: Int64 = 0,
        digest: SHA256Digest? = nil,
        writtenAtMilliseconds: Int64? = nil,
        writer: NodeID? = nil,
        verifiedAtMilliseconds: Int64? = nil,
        isVerifiedAgain: Bool = false,
        instanceCount: Int,
        note: String = "",
        recordPlace: [UInt8]? = nil
    ) {
        self.idHigh = idHigh
        self.idLow = idLow
        self.move = move
        self.tier = tier
        self.place = place
        self.studyInstanceUID = studyInstanceUID
        self.part = part
        self.partCount = partCount
        self.state = state
        self.createdAtMilliseconds = createdAtMilliseconds
        self.byteCount = byteCount
        self.digest = digest
        self.writtenAtMilliseconds = writtenAtMilliseconds
        self.writer = writer
        self.verifiedAtMilliseconds = verifiedAtMilliseconds
        self.isVerifiedAgain = isVerifiedAgain
        self.instanceCount = instanceCount
        self.note = note
        self.recordPlace = recordPlace
    }
}

/// An order that a study go into packs of a tier.
public struct PackMove: Hashable, Sendable {
    public enum State: Int, Sendable {
        case underWay = 1
        case done = 2
        case needsPerson = 3
        /// The study is in packs of other tiers only, and is recalled for it.
        case comingBack = 4
    }

    public var id: Int64
    public var studyInstanceUID: String
    public var tier: String
    public var place: String
    /// Whether the copies on storage nodes are to stay for good.
    public var keepsHot: Bool
    /// Whether they are to be dropped yet, once the packs have been proven.
    public var drops: Bool
    public var state: State
    public var attemptCount: Int
    /// How long its packs have to stand yet; `nil` before they are counted, negative afterwards.
    public var soakLeft: Duration?
    public var requestedAtMilliseconds: Int64
    public var requestedBy: String
    public var reason: String
    public var doneAtMilliseconds: Int64?
    public var note: String

    public init(
        id: Int64,
        studyInstanceUID: String,
        tier: String,
        place: String,
        keepsHot: Bool,
        state: State = .underWay,
        attemptCount: Int = 0,
        soakLeft: Duration? = nil,
        requestedAtMilliseconds: Int64 = 0,
        requestedBy: String = "",
        reason: String = "",
        doneAtMilliseconds: Int64? = nil,
        note: String = "",
        drops: Bool = false
    ) {
        self.id = id
        self.studyInstanceUID = studyInstanceUID
        self.tier = tier
        self.place = place
        self.keepsHot = keepsHot
        self.drops = drops
        self.state = state
        self.attemptCount = attemptCount
        self.soakLeft = soakLeft
        self.requestedAtMilliseconds = requestedAtMilliseconds
        self.requestedBy = requestedBy
        self.reason = reason
        self.doneAtMilliseconds = doneAtMilliseconds
        self.note = note
    }
}

/// What became of the wish that a study be moved.
public enum EnteredMove: Hashable, Sendable {
    case entered(Int64)
    /// The same is under way, or needed a person: it is tried again at once.
    case underWay(Int64)
    /// The study is moved elsewhere; that has to end first.
    case otherMove(Int64)
    case noSuchStudy
    /// The study is being recalled, by the recall of this number; that has to end first.
    case beingRecalled(Int64)
}

/// What came of dropping the copies of a move's instances.
public enum PackedDrop: Hashable, Sendable {
    /// There are none left: the instances are in packs only, or gone.
    case done
    /// So many are in packs only now; there may be more.
    case dropped(Int)
    /// The study is held, by the hold of this number.
    case held(Int64)
    /// This pack has to be read whole first, by another node than its writer.
    case unproven(high: UInt64, low: UInt64)
    /// The study is being recalled: nothing more is dropped.
    case recalled
}

/// A record that may go into a pack, and the bytes of its payload.
public struct MovableRecord: Hashable, Sendable {
    public var record: RecordID
    public var byteCount: Int64

    public init(record: RecordID, byteCount: Int64) {
        self.record = record
        self.byteCount = byteCount
    }
}

/// A set of nodes, and what it has of the records of a pack.
public struct PackSource: Hashable, Sendable {
    public var nodes: [NodeID]
    public var instanceCount: Int
    public var byteCount: Int64

    public init(nodes: [NodeID], instanceCount: Int, byteCount: Int64) {
        self.nodes = nodes
        self.instanceCount = instanceCount
        self.byteCount = byteCount
    }
}

/// What a tier of packs holds.
public struct TierTotals: Hashable, Sendable {
    public var tier: String
    public var place: String
    public var packCount: Int
    public var studyCount: Int
    public var byteCount: Int64
    /// Of the packs that are read from, when the one was read whole that was read longest ago; 0: one is in doubt.
    public var oldestVerifiedAtMilliseconds: Int64?
    public var movesUnderWay: Int
    public var movesNeedingPerson: Int
    /// Packs that are on media that are not at hand, as they were looked for last.
    public var offlineCount = 0
}
