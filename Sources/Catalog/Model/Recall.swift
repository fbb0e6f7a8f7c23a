// SPDX-License-Identifier: Apache-2.0

public import Placement

/// An order that what is in packs only of a study come back to the storage nodes.
public struct StudyRecall: Hashable, Sendable {
    /// The most urgent first.
    public enum Urgency: Int, Sendable {
        /// A person waits for it.
        case person = 1
        /// Rules want it.
        case policy = 2
    }

    public enum State: Int, Sendable {
        case underWay = 1
        case done = 2
        case needsPerson = 3
    }

    public var id: Int64
    public var studyInstanceUID: String
    public var urgency: Urgency
    public var state: State
    /// Failures in turn.
    public var attemptCount: Int
    public var requestedAtMilliseconds: Int64
    public var requestedBy: String
    public var reason: String
    /// What was in packs only when it was ordered.
    public var wantedInstanceCount: Int
    public var wantedByteCount: Int64
    /// What has come back.
    public var instanceCount: Int
    public var byteCount: Int64
    /// When the first came back.
    public var startedAtMilliseconds: Int64?
    public var doneAtMilliseconds: Int64?
    /// What is in the way, or what became of it; for people.
    public var note: String
    /// Since when media are missing that packs of it are on; nil: none is.
    public var waitsSinceMilliseconds: Int64?
    /// These packs.
    public var wantedPacks: [WantedPack]

    public init(
        id: Int64,
        studyInstanceUID: String,
        urgency: Urgency = .person,
        state: State = .underWay,
        attemptCount: Int = 0,
        requestedAtMilliseconds: Int64 = 0,
        requestedBy: String = "",
        reason: String = "",
        wantedInstanceCount: Int = 0,
        wantedByteCount: Int64 = 0,
        instanceCount: Int = 0,
        byteCount: Int64 = 0,
        startedAtMilliseconds: Int64? = nil,
        doneAtMilliseconds: Int64? = nil,
        note: String = "",
        waitsSinceMilliseconds: Int64? = nil,
        wantedPacks: [WantedPack] = []
    ) {
        self.id = id
        self.studyInstanceUID = studyInstanceUID
        self.urgency = urgency
        self.state = state
        self.attemptCount = attemptCount
        self.requestedAtMilliseconds = requestedAtMilliseconds
        self.requestedBy = requestedBy
        self.reason = reason
        self.wantedInstanceCount = wantedInstanceCount
        self.wantedByteCount = wantedByteCount
        self.instanceCount = instanceCount
        self.byteCount = byteCount
        self.startedAtMilliseconds = startedAtMilliseconds
        self.doneAtMilliseconds = doneAtMilliseconds
        self.note = note
        self.waitsSinceMilliseconds = waitsSinceMilliseconds
        self.wantedPacks = wantedPacks
    }

    /// A pack whose medium a recall waits for.
    public struct WantedPack: Hashable, Sendable {
        /// The pack's id.
        public var pack: NodeID
        /// Its store, as a URL.
        public var place: String

        public init(pack: NodeID, place: String) {
            self.pack = pack
            self.place = place
        }
    }
}

/// What became of the wish that a study come back.
public enum EnteredRecall: Hashable, Sendable {
    case entered(Int64)
    /// One is under way, or needed a person: it is tried again at once.
    case underWay(Int64)
    /// No instance of the study is in packs only.
    case nothingToDo
    case noSuchStudy
    /// The study is being moved, which ends only when a person wants it back.
    case beingMoved
}

/// A record that is in packs only and is to come back.
public struct RecallableRecord: Hashable, Sendable {
    /// A pack's id, in two halves.
    public struct Pack: Hashable, Sendable {
        public var high: UInt64
        public var low: UInt64

        public init(high: UInt64, low: UInt64) {
            self.high = high
            self.low = low
        }
    }

    public var record: RecordID
    /// Of the payload.
    public var byteCount: Int64
    /// A pack that it can be read from; `nil`: there is none.
    ///
    /// A record that is in several packs is there several times.
    public var pack: Pack?
    /// Nodes that were told to drop a copy of it and have not said that it is gone.
    public var dropping: [NodeID]

    public init(record: RecordID, byteCount: Int64, pack: Pack?, dropping: [NodeID] = []) {
        self.record = record
        self.byteCount = byteCount
        self.pack = pack
        self.dropping = dropping
    }
}

/// A record that has come back, and the number of the set of nodes that have it.
public struct RecalledRecord: Hashable, Sendable {
    public var record: RecordID
    public var placement: Int32

    public init(record: RecordID, placement: Int32) {
        self.record = record
        self.placement = placement
    }
}

/// What became of counting what has come back.
public enum CountedRecall: Hashable, Sendable {
    /// So many instances are on storage nodes again.
    case counted(Int)
    /// The recall is not under way any more.
    case ended
}

/// How many recalls there are, and how long they took.
public struct RecallTotals: Hashable, Sendable {
    public var underWay: Int
    /// Not among those.
    public var waitingForMedia: Int
    public var needingPerson: Int
    public var done: Int
    /// Instances and bytes that have come back since the cluster began.
    public var instanceCount: Int
    public var byteCount: Int64
    /// The order that has waited longest.
    public var oldestOpenAtMilliseconds: Int64?
    /// Of the recalls that ended in the last hour, from order to end, in seconds; `nil`: there were none.
    public var longestSeconds: Double?

    public init(
        underWay: Int = 0,
        waitingForMedia: Int = 0,
        needingPerson: Int = 0,
        done: Int = 0,
        instanceCount: Int = 0,
        byteCount: Int64 = 0,
        oldestOpenAtMilliseconds: Int64? = nil,
        longestSeconds: Double? = nil
    ) {
        self.underWay = underWay
        self.waitingForMedia = waitingForMedia
        self.needingPerson = needingPerson
        self.done = done
        self.instanceCount = instanceCount
        self.byteCount = byteCount
        self.oldestOpenAtMilliseconds = oldestOpenAtMilliseconds
        self.longestSeconds = longestSeconds
    }
}
