// SPDX-License-Identifier: Apache-2.0

public import Placement

/// How one set's copies differ from what is wanted, and the next step that brings them nearer.
public struct Difference: Hashable, Sendable {
    /// Why copies are made; the more urgent first.
    public enum Kind: UInt8, Sendable, Hashable, Comparable, CaseIterable {
        /// There are fewer than wanted.
        case repair = 1
        /// A node is to be emptied.
        case drain = 2
        /// Another node should have it, by the placement map.
        case rebalance = 3
        /// There are more than wanted.
        case surplus = 4

        public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    /// What is done next; whoever has done it asks again.
    public enum Step: Hashable, Sendable {
        /// Copy to `target` from any of `sources`, the best first.
        case copy(target: NodeID, sources: [NodeID])
        /// Drop the copies on `nodes`, which are surplus: all wanted ones are on nodes that are up.
        case drop([NodeID])
        /// Nothing can be done now.
        case wait(Obstacle)
    }

    /// Why nothing can be done now.
    public enum Obstacle: UInt8, Sendable, Hashable, CaseIterable {
        /// No node that has a copy answers.
        case noSource = 1
        /// The node that should have it is away, and enough copies are left to wait for it.
        case targetAway = 2
        /// No node takes it: those that answer have it already, or are full.
        case noTarget = 3
        /// The node that should have it has come not long ago, and enough copies are left to see whether it stays.
        case targetUnsteady = 4
    }

    public let set: ActualSet
    public let kind: Kind
    public let step: Step
    /// Copies that can be read.
    public let livingCount: Int
    /// Copies that can be read or are expected back.
    public let countedCount: Int

    /// Whether there are fewer copies than wanted that can be read.
    public let isUnderReplicated: Bool

    /// Whether it comes before `other`: fewest living copies first, then by kind, then by group.
    public func isMoreUrgent(than other: Difference) -> Bool {
        (livingCount, kind.rawValue, set.group.rawValue, set.placement)
            < (other.livingCount, other.kind.rawValue, other.set.group.rawValue, other.set.placement)
    }
}
