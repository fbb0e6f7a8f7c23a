// SPDX-License-Identifier: Apache-2.0

public import Placement

/// What the planner has to know of a storage node.
public struct NodeCondition: Hashable, Sendable {
    public var node: NodeID
    public var standing: NodeStanding
    /// Whether it takes records: its disks work and have room.
    public var acceptsWrites: Bool

    public init(node: NodeID, standing: NodeStanding, acceptsWrites: Bool = true) {
        self.node = node
        self.standing = standing
        self.acceptsWrites = acceptsWrites
    }

    /// Whether copies can be put on it now.
    var isTarget: Bool { standing.service == .inService && standing.health == .up && acceptsWrites }

    /// Whether copies can be fetched from it now.
    var isSource: Bool { standing.service != .removed && standing.health <= .suspect }
}
