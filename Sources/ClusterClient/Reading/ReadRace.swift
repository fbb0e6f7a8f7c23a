// SPDX-License-Identifier: Apache-2.0

package import Placement

/// Which copies of a record are asked, and when: the next one when a copy fails, and one beside it when it is slow.
package struct ReadRace {
    package enum Action: Equatable {
        case ask(NodeID)
        /// For an answer of those that have been asked.
        case wait
        /// All have failed.
        case giveUp
    }

    private var rest: ArraySlice<NodeID>
    package private(set) var running: Set<NodeID> = []

    /// A race among `order`, the best first, each node once.
    package init(_ order: [NodeID]) {
        rest = order[...]
    }

    /// Whether there is a copy left that has not been asked.
    package var hasNext: Bool { !rest.isEmpty }

    package mutating func start() -> Action { askNext() }

    /// A node has failed, or could not be asked.
    package mutating func failed(_ node: NodeID) -> Action {
        running.remove(node)
        return askNext(unlessRunning: true)
    }

    /// A node takes longer than it should; what has ended meanwhile is not slow.
    package mutating func slow(_ node: NodeID) -> Action {
        running.contains(node) && hasNext ? askNext() : .wait
    }

    private mutating func askNext(unlessRunning: Bool = false) -> Action {
        // Another copy was asked because this one was slow: its answer is on the way.
        if unlessRunning, !running.isEmpty { return .wait }
        guard let node = rest.popFirst() else { return running.isEmpty ? .giveUp : .wait }
        running.insert(node)
        return .ask(node)
    }
}
