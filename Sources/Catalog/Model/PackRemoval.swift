// SPDX-License-Identifier: Apache-2.0

public import Placement

/// A pack that is to be removed from its store, or was; kept for ever.
public struct PackRemoval: Hashable, Sendable {
    /// The pack's id.
    public var pack: NodeID
    public var tier: String
    /// The store, as a URL.
    public var place: String
    public var studyInstanceUID: String
    public var instanceCount: Int
    public var byteCount: Int64
    /// Whether all of it was deleted; otherwise it was given up.
    public var isOfDeleted: Bool
    /// Who deleted what is in it.
    public var requestedBy: String
    public var reason: String
    public var requestedAtMilliseconds: Int64
    /// It stays until then, and as long as it must not go.
    public var dueAtMilliseconds: Int64
    /// When it was read from for the last time.
    public var begunAtMilliseconds: Int64?
    public var removedAtMilliseconds: Int64?
    /// The name of the node that removed it.
    public var removedBy: String
    /// What is in the way; for people.
    public var note: String

    public init(
        pack: NodeID,
        tier: String,
        place: String,
        studyInstanceUID: String,
        instanceCount: Int,
        byteCount: Int64,
        isOfDeleted: Bool,
        requestedBy: String,
        reason: String,
        requestedAtMilliseconds: Int64,
        dueAtMilliseconds: Int64,
        begunAtMilliseconds: Int64?,
        removedAtMilliseconds: Int64?,
        removedBy: String,
        note: String
    ) {
        self.pack = pack
        self.tier = tier
        self.place = place
        self.studyInstanceUID = studyInstanceUID
        self.instanceCount = instanceCount
        self.byteCount = byteCount
        self.isOfDeleted = isOfDeleted
        self.requestedBy = requestedBy
        self.reason = reason
        self.requestedAtMilliseconds = requestedAtMilliseconds
        self.dueAtMilliseconds = dueAtMilliseconds
        self.begunAtMilliseconds = begunAtMilliseconds
        self.removedAtMilliseconds = removedAtMilliseconds
        self.removedBy = removedBy
        self.note = note
    }
}

/// What is in packs of a tier although it was deleted.
public struct DeletedInPacks: Hashable, Sendable {
    public var tier: String
    public var place: String
    public var packCount: Int
    public var instanceCount: Int

    public init(tier: String, place: String, packCount: Int, instanceCount: Int) {
        self.tier = tier
        self.place = place
        self.packCount = packCount
        self.instanceCount = instanceCount
    }
}

/// Studies whose packs are made anew without what was deleted of them.
public struct Repacking: Hashable, Sendable {
    /// Those that have come back, and are packed now.
    public var movedCount: Int
    /// Those that are to come back for it.
    public var recalledCount: Int

    public init(movedCount: Int = 0, recalledCount: Int = 0) {
        self.movedCount = movedCount
        self.recalledCount = recalledCount
    }
}
