// SPDX-License-Identifier: Apache-2.0

/// A storage node as the placement map knows it.
public struct StorageMember: Hashable, Sendable {
    public let id: NodeID
    /// The name operators use.
    public var name: String
    /// Where the node listens.
    public var host: String
    /// The port it listens on.
    public var port: Int
    public var domain: FailureDomain
    /// Units of capacity: a node of weight 2 holds twice the groups of a node of weight 1.
    ///
    /// Zero holds none.
    public var weight: UInt32
    public var state: NodeState

    public init(
        id: NodeID,
        name: String,
        host: String,
        port: Int,
        domain: FailureDomain,
        weight: UInt32 = 1,
        state: NodeState = .up
    ) {
        self.id = id
        self.name = name
        self.host = host
        self.port = port
        self.domain = domain
        self.weight = weight
        self.state = state
    }

    /// Whether groups are assigned to this member: its state allows it and it has capacity.
    public var ownsGroups: Bool { state.ownsGroups && weight > 0 }
}
