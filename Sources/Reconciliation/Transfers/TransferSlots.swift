// SPDX-License-Identifier: Apache-2.0

public import Placement

/// How many copies are under way at each node, so that none does too much at once.
public struct TransferSlots: Sendable {
    private let maximumPerNode: Int
    /// Nodes that serve nobody: the others give and take a quarter as many copies, because each takes disk and processors from
    /// those who are served, however slowly its bytes go.
    public var idle: Set<NodeID> = []
    private var given: [NodeID: Int] = [:]
    private var taken: [NodeID: Int] = [:]

    /// A node that serves nobody gives at most so many copies at once, and takes as many.
    public init(maximumPerNode: Int) {
        self.maximumPerNode = max(1, maximumPerNode)
    }

    /// Copies under way that the node gives or takes.
    public func count(at node: NodeID) -> Int { (given[node] ?? 0) + (taken[node] ?? 0) }

    /// Whether a node has room for a copy that it takes.
    public func isOpen(target: NodeID) -> Bool { taken[target] ?? 0 < maximum(at: target) }

    private func maximum(at node: NodeID) -> Int { idle.contains(node) ? maximumPerNode : max(1, maximumPerNode / 4) }

    /// Takes a place at `target`, and one at the least busy of `sources`, the first among equals; nil when there is none.
    public mutating func take(target: NodeID, sources: [NodeID]) -> NodeID? {
        guard isOpen(target: target) else { return nil }
        var best: NodeID?
        for source in sources where given[source] ?? 0 < maximum(at: source) {
            if best.map({ count(at: source) < count(at: $0) }) ?? true { best = source }
        }
        guard let best else { return nil }
        taken[target, default: 0] += 1
        given[best, default: 0] += 1
        return best
    }

    /// Gives the places of a copy back.
    public mutating func giveBack(target: NodeID, source: NodeID) {
        taken[target] = max(0, (taken[target] ?? 0) - 1)
        given[source] = max(0, (given[source] ?? 0) - 1)
    }
}
