// SPDX-License-Identifier: Apache-2.0

public import Placement

/// How many copies are under way at each node, so that none does too much at once.
public struct TransferSlots: Sendable {
    private let maximumPerNode: Int
    private var running: [NodeID: Int] = [:]

    /// Each node gives and takes at most so many copies at once, together.
    public init(maximumPerNode: Int) {
        self.maximumPerNode = max(1, maximumPerNode)
    }

    /// Copies under way that the node gives or takes.
    public func count(at node: NodeID) -> Int { running[node] ?? 0 }

    /// Takes a place at `target`, and one at the least busy of `sources`, the first among equals; nil when there is none.
    public mutating func take(target: NodeID, sources: [NodeID]) -> NodeID? {
        guard count(at: target) < maximumPerNode else { return nil }
        var best: NodeID?
        for source in sources where count(at: source) < maximumPerNode {
            if best.map({ count(at: source) < count(at: $0) }) ?? true { best = source }
        }
        guard let best else { return nil }
        running[target, default: 0] += 1
        running[best, default: 0] += 1
        return best
    }

    /// Gives the places of a copy back.
    public mutating func giveBack(target: NodeID, source: NodeID) {
        for node in [target, source] { running[node] = max(0, count(at: node) - 1) }
    }
}
