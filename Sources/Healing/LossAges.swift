// SPDX-License-Identifier: Apache-2.0

package import Placement

/// How long it has been known of nodes that they have lost what they cannot name.
///
/// A copy may be lost while its store is still under way: the node has acknowledged it, no other has it yet, and no row
/// of the catalog knows it. Who compared the node with the others then would find nothing missing. So a loss is left to
/// settle for longer than a store may take from its first copy to the one that makes it a success
/// (docs/decisions/0036-losses-settle.md).
package struct LossAges: Sendable {
    /// What is lost: another loss settles anew.
    package struct Loss: Hashable, Sendable {
        private let incarnation: UInt64
        private let unnamed: UInt64

        /// What a node's run, its incarnation, says of the damage without names in it.
        package init(incarnation: UInt64, unnamed: UInt64) {
            self.incarnation = incarnation
            self.unnamed = unnamed
        }
    }

    private let settling: Duration
    private var known: [NodeID: (loss: Loss, since: Duration)] = [:]

    /// Losses that are to settle for so long.
    package init(settling: Duration) {
        self.settling = settling
    }

    /// How long a loss of a node has still to settle; zero when it may be judged.
    ///
    /// `now` is on a clock that only goes forward.
    package mutating func timeLeft(_ node: NodeID, _ loss: Loss, now: Duration) -> Duration {
        if let known = known[node], known.loss == loss { return max(.zero, known.since + settling - now) }
        known[node] = (loss, now)
        return settling
    }

    /// The node has lost nothing any more.
    package mutating func forget(_ node: NodeID) { known[node] = nil }
}
