// SPDX-License-Identifier: Apache-2.0

/// What it would take to go from one placement map to another: shown to an operator before a map becomes an epoch.
public struct PlacementMovement: Hashable, Sendable {
    /// A group whose holders differ between the maps.
    public struct Change: Hashable, Sendable {
        public let group: PlacementGroup
        /// Nodes that must receive the group, in the new map's order.
        public let gaining: [NodeID]
        /// Nodes that need not hold it any more, in the old map's order.
        public let losing: [NodeID]
    }

    /// The groups that change, by number.
    public let changes: [Change]
    /// The copies of a group that the comparison was made for.
    public let copies: Int

    /// Compares the holders of every group in two maps.
    public init(from old: PlacementMap, to new: PlacementMap, copies: Int) {
        self.copies = copies
        self.changes = PlacementGroup.all.compactMap { group in
            let before = old.holders(of: group, copies: copies)
            let after = new.holders(of: group, copies: copies)
            let gaining = after.filter { !before.contains($0) }
            let losing = before.filter { !after.contains($0) }
            guard !gaining.isEmpty || !losing.isEmpty else { return nil }
            return Change(group: group, gaining: gaining, losing: losing)
        }
    }

    /// The copies of groups that travel.
    public var movedCopyCount: Int { changes.reduce(0) { $0 + $1.gaining.count } }

    /// The share of all copies that travels, from 0 to 1.
    public var movedFraction: Double {
        copies > 0 ? Double(movedCopyCount) / Double(copies * PlacementGroup.count) : 0
    }

    /// The groups that `node` gains.
    public func groups(gainedBy node: NodeID) -> [PlacementGroup] {
        changes.filter { $0.gaining.contains(node) }.map(\.group)
    }

    /// The groups that `node` loses.
    public func groups(lostBy node: NodeID) -> [PlacementGroup] {
        changes.filter { $0.losing.contains(node) }.map(\.group)
    }
}

extension PlacementGroup {
    /// Every group of a cluster, by number.
    public static var all: [PlacementGroup] {
        (0..<UInt16(count)).compactMap { PlacementGroup(rawValue: $0) }
    }
}
