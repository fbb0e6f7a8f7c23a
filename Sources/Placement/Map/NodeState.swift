// SPDX-License-Identifier: Apache-2.0

/// What the cluster believes of a storage node.
///
/// The raw values are stored: never reuse one.
public enum NodeState: UInt8, Sendable, Hashable, CaseIterable {
    /// Answers, takes writes.
    case up = 1
    /// Has not answered for some seconds.
    case suspect = 2
    /// Has not answered for longer: writes go to its replacements, its groups stay its own.
    case down = 3
    /// Given up for now: its groups belong to others until it comes back.
    case out = 4
    /// Being emptied by an operator: readable, but its groups belong to others.
    case draining = 5
    /// Has left the cluster for good; kept so that old placements can be explained.
    case removed = 6

    /// Whether placement groups are assigned to a node in this state.
    ///
    /// A node that is only suspect or down keeps its groups: a short absence must not move data.
    public var ownsGroups: Bool {
        switch self {
        case .up, .suspect, .down: true
        case .out, .draining, .removed: false
        }
    }

    /// The word used in listings.
    public var name: String {
        switch self {
        case .up: "up"
        case .suspect: "suspect"
        case .down: "down"
        case .out: "out"
        case .draining: "draining"
        case .removed: "removed"
        }
    }
}
