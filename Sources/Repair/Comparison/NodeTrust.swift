// SPDX-License-Identifier: Apache-2.0

package import Placement

/// Whose word counts when a node says that it does not have a record.
///
/// Not that of one that is away or in maintenance, has damage, or is not sure what it has; nor of one that was so until a moment
/// ago: who has just come back may not have been told yet what became of it meanwhile, and healing comes first.
package struct NodeTrust: Sendable {
    /// What a node that answers has said last.
    package struct Answer: Hashable, Sendable {
        package let node: NodeID
        /// Tells one start of the node from another.
        package let incarnation: UInt64
        /// Whether nothing speaks against its word now.
        package let isSure: Bool

        package init(node: NodeID, incarnation: UInt64, isSure: Bool) {
            self.node = node
            self.incarnation = incarnation
            self.isSure = isSure
        }
    }

    private let settling: Duration
    private var sure: [NodeID: (incarnation: UInt64, since: Duration)] = [:]

    /// Nodes have to be sure for so long.
    package init(settling: Duration) {
        self.settling = settling
    }

    /// The nodes that are trusted at `now`, on a clock that only goes forward; `answers` are of all that answer.
    package mutating func judge(_ answers: [Answer], now: Duration) -> Set<NodeID> {
        var still: [NodeID: (incarnation: UInt64, since: Duration)] = [:]
        for answer in answers where answer.isSure {
            let known = sure[answer.node]
            let isSame = known?.incarnation == answer.incarnation
            still[answer.node] = (answer.incarnation, isSame ? known?.since ?? now : now)
        }
        sure = still
        return Set(sure.filter { now - $0.value.since >= settling }.keys)
    }
}
