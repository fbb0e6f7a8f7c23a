// SPDX-License-Identifier: Apache-2.0

import Catalog
import Logging
import Placement
import ReplicationProtocol

/// Has the catalog count copies that nodes list and that no row names: from a store or a repair whose end was lost, or that are
/// back because a drop note was lost.
///
/// Counted, such a copy is one of those wanted, or surplus, and dropped as any other: when all that stay have been read. One that
/// its node may be dropping is never counted.
struct UncountedCopies: Sendable {
    /// What is left of a group has its turn in the next pass.
    static let mostOfAGroup = 64
    /// How often it is tried to look at a copy whose node is dropping others.
    private static let patience = 5

    let ledger: any ComparisonLedger
    let gate: CountingGate
    let view: @Sendable () -> ComparisonView?
    /// Waits for the next try.
    let pause: @Sendable () async -> Void
    let logger: Logger

    func run(_ copies: [UncountedCopy], _ term: Term) async throws(CatalogError) {
        for copy in copies {
            guard await enter(copy.node) else { continue }
            defer { gate.leave(copy.node) }
            guard !Task.isCancelled, let view = view(), view.stamp.term == term, view.trusted.contains(copy.node),
                let node = view.peers[copy.node]
            else { continue }
            if copy.counted.isEmpty {
                // In cold packs only: dropped (again), or, when they are in doubt, counted as the last good one.
                guard try await !ledger.orderColdDrop(copy.record, on: copy.node, term: term) else { continue }
                guard await MissingCopyCheck(view: view).isWhole(copy.record, on: copy.node) else { continue }
            } else {
                guard await isSame(copy, node, view) else { continue }
            }
            let old = try await ledger.placementNumber(of: copy.counted.sorted())
            let new = try await ledger.placementNumber(of: (copy.counted + [copy.node]).sorted())
            if try await ledger.recount(copy.record, on: copy.node, from: old, to: new, term: term) {
                logger.info(
                    "a copy that the catalog did not name is counted",
                    metadata: ["node": "\(node.name)", "record": "\(copy.record)"]
                )
            }
        }
    }

    /// From here until it is counted nothing that was dropped on the node is confirmed.
    private func enter(_ node: NodeID) async -> Bool {
        for attempt in 0..<Self.patience where !Task.isCancelled {
            if attempt > 0 { await pause() }
            if gate.enter(node) { return true }
        }
        // It has its turn in the next pass.
        return false
    }

    /// Whether the node reads its copy whole, and it is the same as one that is counted.
    private func isSame(_ copy: UncountedCopy, _ node: any ComparisonPeer, _ view: ComparisonView) async -> Bool {
        do throws(ReplicationError) {
            guard let digest = try await node.digest(of: copy.record) else { return false }
            for other in copy.counted {
                guard let peer = view.peers[other], try await peer.digest(of: copy.record) == digest else { continue }
                try await node.verify(copy.record)
                return true
            }
            return false
        } catch {
            // It has its turn in the next pass.
            return false
        }
    }
}
