// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import Placement

/// Which pack of which study an order is about, and in what store it lies; what its key is follows from it
/// (docs/formats/pack.md).
public struct PackReference: Hashable, Sendable {
    /// The most bytes of a Study Instance UID (PS3.5 §9.1).
    public static let maximumStudyByteCount = 64
    /// The most bytes of a place.
    public static let maximumPlaceByteCount = 512

    /// The pack's id.
    public var pack: ReferenceID
    public var studyInstanceUID: String
    /// The store, as a URL; never with a secret in it.
    public var place: String

    public init(pack: ReferenceID, studyInstanceUID: String, place: String) {
        self.pack = pack
        self.studyInstanceUID = studyInstanceUID
        self.place = place
    }
}

/// BUILD-PACK: a node is to write records of a study into a pack in a store.
public struct BuildPackRequest: Hashable, Sendable {
    /// The most records of a pack: their ids are in one message.
    public static let maximumRecordCount = 8192
    /// The most nodes that records may be fetched from.
    public static let maximumSourceCount = 16

    /// Another node that has some of the records, and its address.
    public struct Source: Hashable, Sendable {
        public var nodeID: NodeID
        public var host: String
        public var port: UInt16

        public init(nodeID: NodeID, host: String, port: UInt16) {
            self.nodeID = nodeID
            self.host = host
            self.port = port
        }
    }

    public var reference: PackReference
    public var stamp: OrderStamp
    /// Which part of the study it is, from 1, and of how many.
    public var part: UInt32
    public var partCount: UInt32
    /// When the pack was ordered first, in milliseconds since 1970; stands in it.
    public var createdAtMilliseconds: Int64
    /// Where to fetch what the node itself lacks, the best first.
    public var sources: [Source]
    /// The records in the order in which they are to lie.
    public var records: [RecordID]
    public var timeoutMilliseconds: UInt32

    public init(
        reference: PackReference,
        stamp: OrderStamp,
        part: UInt32,
        partCount: UInt32,
        createdAtMilliseconds: Int64,
        sources: [Source],
        records: [RecordID],
        timeoutMilliseconds: UInt32 = 0
    ) {
        self.reference = reference
        self.stamp = stamp
        self.part = part
        self.partCount = partCount
        self.createdAtMilliseconds = createdAtMilliseconds
        self.sources = sources
        self.records = records
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// BUILD-PACK-RESULT: the pack is durable in its store, under its name.
public struct BuiltPack: Hashable, Sendable {
    /// ``PutOutcome/alreadyStored``: an earlier order has made it; all of it was read.
    public var outcome: PutOutcome
    public var byteCount: UInt64
    /// SHA-256 of all of the pack.
    public var digest: SHA256Digest

    public init(outcome: PutOutcome, byteCount: UInt64, digest: SHA256Digest) {
        self.outcome = outcome
        self.byteCount = byteCount
        self.digest = digest
    }
}

/// REMOVE-PACK: a node is to remove a pack from its store, and what unfinished uploads have left of it; one that is not there has
/// been removed.
public struct RemovePackRequest: Hashable, Sendable {
    public var reference: PackReference
    public var stamp: OrderStamp
    public var timeoutMilliseconds: UInt32

    public init(reference: PackReference, stamp: OrderStamp, timeoutMilliseconds: UInt32 = 0) {
        self.reference = reference
        self.stamp = stamp
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// VERIFY-PACK: a node is to read a pack whole, from its store, and to prove every digest in it.
public struct VerifyPackRequest: Hashable, Sendable {
    public var reference: PackReference
    public var stamp: OrderStamp
    /// What was said of the pack when it was built.
    public var byteCount: UInt64
    public var digest: SHA256Digest
    public var timeoutMilliseconds: UInt32

    public init(
        reference: PackReference,
        stamp: OrderStamp,
        byteCount: UInt64,
        digest: SHA256Digest,
        timeoutMilliseconds: UInt32 = 0
    ) {
        self.reference = reference
        self.stamp = stamp
        self.byteCount = byteCount
        self.digest = digest
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// RECALL: a node is to store records of a pack, each compared with its digest before it is written.
public struct RecallRequest: Hashable, Sendable {
    /// The most records of one order.
    public static let maximumRecordCount = 1024

    public var reference: PackReference
    public var stamp: OrderStamp
    /// What was said of the pack when it was built.
    public var byteCount: UInt64
    public var digest: SHA256Digest
    public var records: [RecordID]
    public var timeoutMilliseconds: UInt32

    public init(
        reference: PackReference,
        stamp: OrderStamp,
        byteCount: UInt64,
        digest: SHA256Digest,
        records: [RecordID],
        timeoutMilliseconds: UInt32 = 0
    ) {
        self.reference = reference
        self.stamp = stamp
        self.byteCount = byteCount
        self.digest = digest
        self.records = records
        self.timeoutMilliseconds = timeoutMilliseconds
    }
}

/// What became of a record that was to be stored from a pack.
public enum RecallOutcome: UInt8, Sendable, CaseIterable {
    /// It is durable on the node, as it is in the pack.
    case stored = 1
    /// The node had it, the same and whole.
    case alreadyStored = 2
    /// Its bytes in the pack have not their digest, or what the pack says of it can't be read.
    case damaged = 3
    /// The pack does not have it.
    case absent = 4
    /// The node has another record under the id, or it is deleted there.
    case refused = 5
}
