// SPDX-License-Identifier: Apache-2.0

import Catalog
import NIOConcurrencyHelpers
package import Placement
package import Reconciliation

/// What the last survey found to be done, and how far the queue has been filled with it.
///
/// The survey puts a new one in its place, also while the queue is filled.
package final class RepairPlan: Sendable {
    private struct State {
        var steps: [Difference] = []
        var position = 0
        var after: RecordID?
        var version = 0
        var isFresh = false
    }

    /// Records that are looked at in one statement.
    private static let pageCount = 512
    /// Items of one urgency that the queue has at most, what needs a person included.
    private static let waitingLimit = 20_000

    private let state = NIOLockedValueBox(State())

    package init() {}

    /// Takes over what a survey found; of it, what can be done now.
    package func replace(_ differences: [Difference]) {
        let steps = differences.filter { difference in
            if case .copy = difference.step { true } else { false }
        }
        state.withLockedValue { state in
            state = State(steps: steps, version: state.version + 1, isFresh: !steps.isEmpty)
        }
    }

    /// Whether nothing has been entered since the last survey: what is more urgent than the rest of the queue may be in it.
    package var isFresh: Bool { state.withLockedValue { $0.isFresh } }

    /// Whether all of it has been entered.
    package var isExhausted: Bool { state.withLockedValue { $0.position >= $0.steps.count } }

    /// Enters the next records, the most urgent first; how many were looked at, 0 when that was all.
    package func fill(_ ledger: any RepairLedger, term: Term) async throws(RepairObstacle) -> Int {
        var count = 0
        while count < Self.pageCount {
            let now = state.withLockedValue { state in
                state.isFresh = false
                return state
            }
            guard now.position < now.steps.count else { return count }
            let limit = Self.pageCount - count
            let entered: EnqueuedRepairs
            do throws(CatalogError) {
                entered = try await ledger.enqueueRepairs(
                    of: RepairDifference(now.steps[now.position]),
                    after: now.after,
                    limit: limit,
                    waitingLimit: Self.waitingLimit,
                    term: term
                )
            } catch {
                throw RepairObstacle(error)
            }
            state.withLockedValue { state in
                guard state.version == now.version else { return }
                if case .upTo(let last, let looked) = entered, looked >= limit {
                    state.after = last
                } else {
                    // When the queue is full, the next survey comes back to what is left out here.
                    state.position += 1
                    state.after = nil
                }
            }
            if case .upTo(_, let looked) = entered { count += looked }
        }
        return count
    }
}

extension RepairDifference {
    init(_ difference: Difference) {
        var target: NodeID?
        var obstacle: UInt8 = 0
        switch difference.step {
        case .copy(let node, _): target = node
        case .wait(let reason): obstacle = reason.rawValue
        case .drop: break
        }
        self.init(
            kind: difference.kind.rawValue,
            obstacle: obstacle,
            placement: difference.set.placement,
            group: difference.set.group,
            livingCount: difference.livingCount,
            isShort: difference.isUnderReplicated,
            target: target
        )
    }
}
