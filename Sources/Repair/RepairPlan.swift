// SPDX-License-Identifier: Apache-2.0

import Catalog
import NIOConcurrencyHelpers
package import Placement
package import Reconciliation

/// What the last survey found to be done, and how far the queue has been filled with it.
///
/// The survey puts a new one in its place, also while the queue is filled.
package final class RepairPlan: Sendable {
    private struct Step {
        let difference: Difference
        var after: RecordID?
        var isDone = false
    }

    private struct State {
        /// The most urgent first.
        var steps: [Step] = []
        /// All before it are done.
        var first = 0
        /// Where the next part comes from.
        var next = 0
        var version = 0
        var isFresh = false

        /// The next of those that are as urgent as the most urgent that is left, in turn: they are of other groups, and so of
        /// other sources and targets, which then work at the same time.
        mutating func take() -> Int? {
            while first < steps.count, steps[first].isDone { first += 1 }
            guard first < steps.count else { return nil }
            let urgency = steps[first].difference.livingCount
            var index = next
            while index < steps.count, steps[index].isDone, steps[index].difference.livingCount == urgency {
                index += 1
            }
            if index < first || index >= steps.count || steps[index].difference.livingCount != urgency { index = first }
            next = index + 1
            return index
        }
    }

    /// Records of a set that are entered at once, and sets that they are taken from.
    private static let recordsAtOnce = 32
    private static let setsAtOnce = 16
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
            state = State(
                steps: steps.map { Step(difference: $0) },
                version: state.version + 1,
                isFresh: !steps.isEmpty
            )
        }
    }

    /// Whether nothing has been entered since the last survey: what is more urgent than the rest of the queue may be in it.
    package var isFresh: Bool { state.withLockedValue { $0.isFresh } }

    /// Copies left of what is entered next; nil when all of it has been entered.
    package var nextLivingCount: Int? {
        state.withLockedValue { state in
            state.steps[state.first...].first { !$0.isDone }?.difference.livingCount
        }
    }

    /// Enters the next records, the most urgent first; false when there was nothing more to enter.
    package func fill(_ ledger: any RepairLedger, term: Term) async throws(RepairObstacle) -> Bool {
        for taking in 0..<Self.setsAtOnce {
            let taken = state.withLockedValue { state -> (index: Int, step: Step, version: Int)? in
                state.isFresh = false
                return state.take().map { ($0, state.steps[$0], state.version) }
            }
            // What was entered before the last set is to be claimed.
            guard let (index, step, version) = taken else { return taking > 0 }
            let entered: EnqueuedRepairs
            do throws(CatalogError) {
                entered = try await ledger.enqueueRepairs(
                    of: RepairDifference(step.difference),
                    after: step.after,
                    limit: Self.recordsAtOnce,
                    waitingLimit: Self.waitingLimit,
                    term: term
                )
            } catch {
                throw RepairObstacle(error)
            }
            state.withLockedValue { state in
                guard state.version == version else { return }
                if case .upTo(let last, let looked) = entered, looked >= Self.recordsAtOnce {
                    state.steps[index].after = last
                } else {
                    // When the queue is full, the next survey comes back to what is left out here.
                    state.steps[index].isDone = true
                }
            }
        }
        return true
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
