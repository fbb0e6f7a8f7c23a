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
    /// Those running that another has been asked beside: their answers are not counted on.
    private var late: Set<NodeID> = []

    /// A race among `order`, the best first, each node once.
    package init(_ order: [NodeID]) {
        rest = order[...]
    }

    /// Whether there is a copy left that has not been asked.
    package var hasNext: Bool { !rest.isEmpty }

    /// Asks the first, or goes on after ``add(_:)``.
    package mutating func next() -> Action { askNext() }

    /// More copies, to be asked after the others.
    package mutating func add(_ order: [NodeID]) { rest += order }

    /// A node has failed, or could not be asked: the next is, unless the answer of one that is not slow is on the way.
    package mutating func failed(_ node: NodeID) -> Action {
        running.remove(node)
        late.remove(node)
        return running.isSubset(of: late) ? askNext() : .wait
    }

    /// A node has answered: the race is over, and the others are given up.
    package mutating func won(_ node: NodeID) {
        running.remove(node)
        rest = []
    }

    /// A node takes longer than it should; what has ended meanwhile is not slow.
    package mutating func slow(_ node: NodeID) -> Action {
        guard running.contains(node), hasNext else { return .wait }
        late.insert(node)
        return askNext()
    }

    private mutating func askNext() -> Action {
        guard let node = rest.popFirst() else { return running.isEmpty ? .giveUp : .wait }
        running.insert(node)
        return .ask(node)
    }
}
