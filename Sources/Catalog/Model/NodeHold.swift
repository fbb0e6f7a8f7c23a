// SPDX-License-Identifier: Apache-2.0

public import Placement

/// What storage nodes are to know of a hold on one study.
public struct NodeHold: Sendable, Hashable {
    public var study: String
    /// Whether it holds; else it is released.
    public var isHeld: Bool
    /// The order's place among all orders, with the term.
    public var number: Int64
    /// Of the coordinator that took it up first.
    public var term: Term
    public var issuedAtMilliseconds: Int64
    /// What amendments name: the hold.
    public var referenceHigh: UInt64
    public var referenceLow: UInt64
    /// The hold's number, what people call it and why: what the nodes keep of it.
    public var hold: Int64
    public var name: String
    public var reason: String
    /// Nodes that have carried it out.
    public var answered: Set<NodeID>

    public init(
        study: String,
        isHeld: Bool,
        number: Int64,
        term: Term,
        issuedAtMilliseconds: Int64,
        referenceHigh: UInt64,
        referenceLow: UInt64,
        hold: Int64,
        name: String,
        reason: String,
        answered: Set<NodeID> = []
    ) {
        self.study = study
        self.isHeld = isHeld
        self.number = number
        self.term = term
        self.issuedAtMilliseconds = issuedAtMilliseconds
        self.referenceHigh = referenceHigh
        self.referenceLow = referenceLow
        self.hold = hold
        self.name = name
        self.reason = reason
        self.answered = answered
    }
}

/// A record that came into a held study, and what nodes are to be told of it.
public struct HoldArrival: Sendable, Hashable {
    public var id: Int64
    public var record: RecordID
    /// None when an order of its study is still to be taken up, or the holds are released.
    public var holds: [NodeHold]

    public init(id: Int64, record: RecordID, holds: [NodeHold]) {
        self.id = id
        self.record = record
        self.holds = holds
    }
}
