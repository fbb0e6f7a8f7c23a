// SPDX-License-Identifier: Apache-2.0

public import Placement

/// What is to be deleted: a study, a series of it, or an instance of that.
public struct DeletionSubject: Sendable, Hashable {
    /// Level of the deletion, as the catalog keeps it.
    public enum Level: Int, Sendable {
        case study = 1
        case series = 2
        case instance = 3
    }

    public let study: String
    /// Empty for a whole study.
    public let series: String
    /// Empty for a whole study or series.
    public let instance: String

    /// A study.
    public init(study: String) {
        self.study = study
        self.series = ""
        self.instance = ""
    }

    /// A series, or one of its instances.
    public init(study: String, series: String, instance: String = "") {
        self.study = study
        self.series = series
        self.instance = instance
    }

    public var level: Level {
        if !instance.isEmpty { return .instance }
        return series.isEmpty ? .study : .series
    }
}

/// Who wants something deleted or undeleted, and why: for the audit.
public struct DeletionRequest: Sendable {
    /// The client's address and the interface it used; of this and the reason 1,024 bytes are kept.
    public var requestedBy: String
    public var reason: String
    /// Milliseconds since 1970.
    public var issuedAtMilliseconds: Int64
    /// Chosen by whoever asks: the same again is the same request.
    public var reference: (high: UInt64, low: UInt64)

    public init(
        requestedBy: String,
        reason: String,
        issuedAtMilliseconds: Int64,
        reference: (high: UInt64, low: UInt64)
    ) {
        self.requestedBy = requestedBy
        self.reason = reason
        self.issuedAtMilliseconds = issuedAtMilliseconds
        self.reference = reference
    }
}

/// A deletion as the audit has it.
public struct Deletion: Sendable, Hashable {
    /// What was wanted, and how far it is.
    public struct Order: Sendable, Hashable {
        public var requestedBy: String
        public var reason: String
        /// Milliseconds since 1970.
        public var requestedAtMilliseconds: Int64
        /// When the last storage node had it, in milliseconds since 1970; nil until then.
        public var doneAtMilliseconds: Int64?
        /// What is in the way; empty when nothing is.
        public var note: String
    }

    public var id: Int64
    public var subject: DeletionSubject
    public var instanceCount: Int
    public var deletion: Order
    /// The order that took it back, if there was one.
    public var undeletion: Order?
    /// When all of it was back in the catalog, in milliseconds since 1970; nil while it is in the trash.
    public var restoredAtMilliseconds: Int64?
}

/// An order about the records of a deletion that not all storage nodes have carried out, as the coordinator has it.
public struct TrashOrder: Sendable, Hashable {
    public enum Kind: Int, Sendable {
        case delete = 1
        case undelete = 2
    }

    /// The order's place among all orders, with the term.
    public var number: Int64
    public var deletion: Int64
    public var kind: Kind
    /// Of the coordinator that took it up first.
    public var term: Term
    /// What the amendments name.
    public var referenceHigh: UInt64
    public var referenceLow: UInt64
    public var issuedAtMilliseconds: Int64
    public var reason: String
    /// Nodes that have carried it out.
    public var answered: Set<NodeID>
    /// Whether none of the deletion's instances is in the trash any more.
    public var isRestored: Bool
    /// Days for which the deletion can be taken back.
    public var graceDays: Int

    public init(
        number: Int64,
        deletion: Int64,
        kind: Kind,
        term: Term,
        referenceHigh: UInt64,
        referenceLow: UInt64,
        issuedAtMilliseconds: Int64,
        reason: String,
        answered: Set<NodeID> = [],
        isRestored: Bool = false,
        graceDays: Int = 0
    ) {
        self.number = number
        self.deletion = deletion
        self.kind = kind
        self.term = term
        self.referenceHigh = referenceHigh
        self.referenceLow = referenceLow
        self.issuedAtMilliseconds = issuedAtMilliseconds
        self.reason = reason
        self.answered = answered
        self.isRestored = isRestored
        self.graceDays = graceDays
    }
}

/// How many instances of the trash have their copies on a set of nodes.
public struct TrashedCopies: Hashable, Sendable {
    public var nodes: [NodeID]
    public var instanceCount: Int

    public init(nodes: [NodeID], instanceCount: Int) {
        self.nodes = nodes
        self.instanceCount = instanceCount
    }
}
