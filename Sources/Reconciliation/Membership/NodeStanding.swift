// SPDX-License-Identifier: Apache-2.0

public import Placement

/// What is known of one storage node at a moment: how it answers, and what is wanted of it.
public struct NodeStanding: Hashable, Sendable {
    /// How a node answers.
    public enum Health: UInt8, Sendable, Hashable, Comparable, CaseIterable {
        /// Answers.
        case up
        /// Has not answered for some seconds, or not yet.
        case suspect
        /// Has not answered for longer.
        case down
        /// Given up until it answers again.
        case out

        public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    public var health: Health
    public var service: NodeService
    /// Whether an operator has said that it will be away for a while, and that while is not over.
    public var isInMaintenance: Bool

    public init(health: Health, service: NodeService = .inService, isInMaintenance: Bool = false) {
        self.health = health
        self.service = service
        self.isInMaintenance = isInMaintenance
    }

    /// The state that the placement map has it in.
    ///
    /// A draining node stays draining when it does not answer, because one that is merely down would own its groups again.
    public var state: NodeState {
        switch service {
        case .removed: return .removed
        case .draining: return health == .out ? .out : .draining
        case .inService: break
        }
        switch health {
        case .up: return .up
        case .suspect: return .suspect
        case .down: return .down
        case .out: return .out
        }
    }

    /// Whether a copy on it can be read now, or will be when its maintenance is over.
    public var isLiving: Bool {
        service != .removed && (health <= .suspect || (isInMaintenance && health == .down))
    }

    /// Whether a copy on it counts as one: it is there, or is expected back.
    public var isCounted: Bool { service != .removed && health != .out }
}
