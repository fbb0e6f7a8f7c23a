// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import Placement

/// A copy that is not wanted in a store any more, because others are elsewhere.
public struct RecordDrop: Hashable, Sendable {
    public var id: RecordID
    /// The SHA-256 of the payload that the other copies have.
    public var payloadDigest: SHA256Digest
    /// Whether whoever asks knows that the other copies are held, too, should this one be.
    public var isHeldElsewhere: Bool

    public init(id: RecordID, payloadDigest: SHA256Digest, isHeldElsewhere: Bool = false) {
        self.id = id
        self.payloadDigest = payloadDigest
        self.isHeldElsewhere = isHeldElsewhere
    }
}

/// What became of a copy that was to be dropped.
public enum DropOutcome: Hashable, Sendable {
    /// It is not here any more, durably.
    case dropped
    /// It was not here.
    case absent
    /// The record is deleted: its bytes go with the deletion.
    case deleted
    /// It is held here, and nobody said that the others are.
    case held
    /// It has another payload than the other copies.
    case differs
    /// It cannot be read, and so not compared.
    case damaged
}
