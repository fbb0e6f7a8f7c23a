// SPDX-License-Identifier: Apache-2.0

public import Placement

/// What the planner has to know of a storage node.
public struct NodeCondition: Hashable, Sendable {
    public var node: NodeID
    public var standing: NodeStanding
    /// Whether it takes records: its disks work and have room.
    public var acceptsWrites: Bool
    /// Whether it has answered for so long that copies are moved to it, or dropped because of those on it; where copies are
    /// lacking that is not asked.
    public var isSteady: Bool

    public init(node: NodeID, standing: NodeStanding, acceptsWrites: Bool = true, isSteady: Bool = true) {
        self.node = node
        self.standing = standing
        self.acceptsWrites = acceptsWrites
        self.isSteady = isSteady
    }

    /// Whether copies can be put on it now.
    var isTarget: Bool { standing.service == .inService && standing.health == .up && acceptsWrites }

    /// Whether copies can be fetched from it now.
    var isSource: Bool { standing.service != .removed && standing.health <= .suspect }
}
