// SPDX-License-Identifier: Apache-2.0

public import Placement

/// A storage node as it is registered.
public struct NodeRecord: Hashable, Sendable {
    public var member: StorageMember
    /// What an operator wants of it.
    public var service: NodeService
    /// How long its maintenance lasts still, by the database's clock; nil when it is in none.
    public var maintenanceLeft: Duration?
    /// How long it has been in its state.
    public var stateAge: Duration

    public init(
        member: StorageMember,
        service: NodeService = .inService,
        maintenanceLeft: Duration? = nil,
        stateAge: Duration = .zero
    ) {
        self.member = member
        self.service = service
        self.maintenanceLeft = maintenanceLeft
        self.stateAge = stateAge
    }
}

/// What an operator asked of the coordinator about a node.
public struct NodeOrder: Hashable, Sendable {
    /// The numbers are stored: never reuse one.
    public enum Kind: Int, Sendable, Hashable, CaseIterable {
        case drain = 1
        case undrain = 2
        case remove = 3
        /// It will be away for a while.
        case maintenance = 4
        case endOfMaintenance = 5
    }

    public var id: Int64
    public var node: NodeID
    public var kind: Kind
    /// How long a maintenance is to last, from when it was asked for.
    public var seconds: Int64
    public var requestedBy: String
    public var reason: String
    public var requestedAtMilliseconds: Int64
    /// When it was done or refused; nil while nobody has.
    public var decidedAtMilliseconds: Int64?
    public var isRefused: Bool
    /// What was done, or why not; for people.
    public var note: String

    public init(
        id: Int64,
        node: NodeID,
        kind: Kind,
        seconds: Int64 = 0,
        requestedBy: String,
        reason: String,
        requestedAtMilliseconds: Int64 = 0,
        decidedAtMilliseconds: Int64? = nil,
        isRefused: Bool = false,
        note: String = ""
    ) {
        self.id = id
        self.node = node
        self.kind = kind
        self.seconds = seconds
        self.requestedBy = requestedBy
        self.reason = reason
        self.requestedAtMilliseconds = requestedAtMilliseconds
        self.decidedAtMilliseconds = decidedAtMilliseconds
        self.isRefused = isRefused
        self.note = note
    }
}
