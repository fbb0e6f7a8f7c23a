// SPDX-License-Identifier: Apache-2.0

public import Placement

extension Planner {
    /// Where a set's copies would be when all steps had been taken, if the nodes stayed as they are.
    public struct Outcome: Hashable, Sendable {
        /// Nodes that get a copy, in the order in which they do.
        public var gaining: [NodeID] = []
        /// Nodes whose copies are surplus in the end.
        public var losing: [NodeID] = []
        /// Why it ends before all copies are where they are wanted.
        public var obstacle: Difference.Obstacle?
        /// Whether there are as many copies as wanted in the end, on distinct hosts of nodes that stay; those of nodes that are
        /// away for now count.
        public var isSpread = false
    }

    /// The outcome of each set, in their order.
    public func outcomes(of sets: [ActualSet]) -> [Outcome] {
        // Sets of one group share what is wanted.
        var wanted: [PlacementGroup: [NodeID]] = [:]
        return sets.map { set in
            let holders = wanted[set.group] ?? map.holders(of: set.group, copies: copies)
            wanted[set.group] = holders
            return outcome(of: set, wanted: holders)
        }
    }

    private func outcome(of set: ActualSet, wanted: [NodeID]) -> Outcome {
        var set = set
        var outcome = Outcome()
        // Each step but the last adds another member.
        steps: for _ in 0...map.members.count {
            guard let difference = difference(of: set, wanted: wanted) else { break }
            switch difference.step {
            case .copy(let target, _):
                outcome.gaining.append(target)
                set.nodes = (set.nodes + [target]).sorted()
            case .drop(let nodes):
                outcome.losing = nodes
                set.nodes.removeAll { nodes.contains($0) }
                break steps
            case .wait(let obstacle):
                outcome.obstacle = obstacle
                break steps
            }
        }
        let staying = set.nodes.filter { node in
            guard let standing = conditions[node]?.standing else { return false }
            return standing.isCounted && standing.service == .inService
        }
        outcome.isSpread = Set(staying.compactMap { map[$0]?.domain }).count >= copies
        return outcome
    }
}
