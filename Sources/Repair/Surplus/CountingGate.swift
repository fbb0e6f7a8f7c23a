// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
package import Placement

/// Keeps copies that were found on a node from being counted while it is being told to drop some, or asked what it has dropped.
///
/// Whoever counts a copy looks at it first. Were it dropped and confirmed in between, its row would be gone from the catalog, which
/// knows nothing of it then: the copy would be counted, and not be there. Both are done by the coordinator in office, each in its
/// term, so a gate in its memory is enough. Nobody waits at it: who finds a node taken comes back.
package final class CountingGate: Sendable {
    private let taken = NIOLockedValueBox<Set<NodeID>>([])

    package init() {}

    /// Takes a node, unless another has it; whoever gets true says ``leave(_:)``.
    package func enter(_ node: NodeID) -> Bool {
        taken.withLockedValue { $0.insert(node).inserted }
    }

    /// Has done with a node.
    package func leave(_ node: NodeID) {
        taken.withLockedValue { _ = $0.remove(node) }
    }
}
