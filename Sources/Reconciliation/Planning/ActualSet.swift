// SPDX-License-Identifier: Apache-2.0

public import Placement

/// The instances of one placement group whose copies are on the same nodes: what is moved and repaired as one.
public struct ActualSet: Hashable, Sendable {
    /// The number under which the catalog keeps the set of nodes.
    public var placement: Int32
    public var group: PlacementGroup
    /// The nodes that have a copy, ascending; those that are lost or removed included.
    public var nodes: [NodeID]
    /// How much it is; 0 where it has not been counted.
    public var instanceCount: Int
    /// Bytes of one copy.
    public var byteCount: Int64

    public init(
        placement: Int32,
        group: PlacementGroup,
        nodes: [NodeID],
        instanceCount: Int = 0,
        byteCount: Int64 = 0
    ) {
        self.placement = placement
        self.group = group
        self.nodes = nodes.sorted()
        self.instanceCount = instanceCount
        self.byteCount = byteCount
    }
}
