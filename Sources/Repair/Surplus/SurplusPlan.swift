// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
package import Placement
package import Reconciliation

/// The sets of which the last survey found copies too many, and how far each has been gone through.
///
/// The survey puts a new one in its place, also while copies are dropped.
package final class SurplusPlan: Sendable {
    /// A set, and a node whose copies of it are surplus.
    package struct Step: Sendable {
        package let set: ActualSet
        package let node: NodeID
        fileprivate let index: Int
        fileprivate let version: Int
        /// All before it have been looked at.
        package var after: RecordID?
    }

    private struct State {
        var steps: [Step] = []
        var done: Set<Int> = []
        /// Nodes that are left alone until the next survey.
        var resting: Set<NodeID> = []
        var version = 0
    }

    private let state = NIOLockedValueBox(State())

    package init() {}

    /// Takes over what a survey found; of it, what is surplus.
    package func replace(_ differences: [Difference]) {
        state.withLockedValue { state in
            let version = state.version + 1
            var steps: [Step] = []
            for difference in differences {
                // One node at a time: the next survey sees what is left.
                guard case .drop(let nodes) = difference.step, let node = nodes.first else { continue }
                steps.append(Step(set: difference.set, node: node, index: steps.count, version: version))
            }
            state = State(steps: steps, version: version)
        }
    }

    /// Nodes that have surplus copies still.
    package var nodes: [NodeID] {
        state.withLockedValue { state in
            let left = state.steps.filter { !state.done.contains($0.index) && !state.resting.contains($0.node) }
            return Set(left.map(\.node)).sorted()
        }
    }

    /// The next set of which `node` has copies too many.
    package func next(on node: NodeID) -> Step? {
        state.withLockedValue { state in
            guard !state.resting.contains(node) else { return nil }
            return state.steps.first { $0.node == node && !state.done.contains($0.index) }
        }
    }

    /// Notes how far a set has been gone through; nil: to its end.
    package func advance(_ step: Step, to last: RecordID?) {
        state.withLockedValue { state in
            guard state.version == step.version else { return }
            if let last {
                state.steps[step.index].after = last
            } else {
                state.done.insert(step.index)
            }
        }
    }

    /// Leaves a node alone until the next survey.
    package func rest(_ node: NodeID) {
        state.withLockedValue { _ = $0.resting.insert(node) }
    }
}
