// SPDX-License-Identifier: Apache-2.0

import Catalog
package import Logging
import NIOConcurrencyHelpers
import ReplicationProtocol

/// Has studies come back from packs while its coordinator leads.
///
/// ``run()`` is the only task that gives these orders; ``update(_:)`` tells it what the coordinator has learnt.
package final class RecallWorker: Sendable {
    private struct State {
        var view: RecallView?
        var running: [Int64: StudyRecall.Urgency] = [:]
        /// Whether a person waits for a study that has no place yet.
        var isUrgentWaiting = false
    }

    private let ledger: any RecallLedger
    private let limits: RecallLimits
    private let clock: RepairClock
    private let interval: Duration
    private let logger: Logger
    private let state = NIOLockedValueBox(State())

    /// Looks every `interval` whether there is something to do.
    package init(
        ledger: any RecallLedger,
        limits: RecallLimits = RecallLimits(),
        interval: Duration,
        clock: RepairClock = .continuous,
        logger: Logger
    ) {
        self.ledger = ledger
        self.limits = limits
        self.interval = interval
        self.clock = clock
        self.logger = logger
    }

    /// Tells what is known now; `nil` when another coordinator leads.
    package func update(_ view: RecallView?) {
        state.withLockedValue { $0.view = view }
    }

    /// Works until the task is cancelled.
    package func run() async {
        await withDiscardingTaskGroup { tasks in
            var lastFailure = ""
            while !Task.isCancelled {
                if let view = state.withLockedValue({ $0.view }), !view.peers.isEmpty {
                    let (recalls, obstacle) = await due()
                    for recall in begin(recalls) {
                        let run = RecallRun(
                            ledger: ledger,
                            view: view,
                            limits: limits,
                            clock: clock,
                            logger: logger,
                            givesWay: { recall.urgency == .policy && self.isUrgentWaiting }
                        )
                        tasks.addTask { await self.advance(recall, run) }
                    }
                    // Said once, not each second.
                    if let obstacle, obstacle != lastFailure {
                        logger.warning("studies cannot be recalled now", metadata: ["reason": "\(obstacle)"])
                    }
                    lastFailure = obstacle ?? ""
                }
                // Cancellation ends the wait, and with it the loop.
                await clock.sleep(interval)
            }
        }
    }

    private var isUrgentWaiting: Bool { state.withLockedValue { $0.isUrgentWaiting } }

    /// What can be worked on, among it what is being worked on already; or what is in the way.
    private func due() async -> (recalls: [StudyRecall], obstacle: String?) {
        let count = limits.recallsAtOnce + state.withLockedValue { $0.running.count }
        do throws(CatalogError) {
            return (try await ledger.dueRecalls(limit: count), nil)
        } catch {
            return ([], "\(error)")
        }
    }

    /// Those that have a place, and have it taken then.
    private func begin(_ recalls: [StudyRecall]) -> [StudyRecall] {
        state.withLockedValue { state in
            let new = recalls.filter { state.running[$0.id] == nil }
            let begun = new.prefix(max(0, limits.recallsAtOnce - state.running.count))
            for recall in begun { state.running[recall.id] = recall.urgency }
            state.isUrgentWaiting = new.dropFirst(begun.count).contains { $0.urgency == .person }
            return Array(begun)
        }
    }

    private func advance(_ recall: StudyRecall, _ run: RecallRun) async {
        do throws(CatalogError) {
            try await run.run(recall)
        } catch {
            // That the catalog is away is said when it is asked what is due, and that another leads by the lease.
            logger.debug("a recall was broken off", metadata: ["recall": "\(recall.id)", "reason": "\(error)"])
        }
        state.withLockedValue { _ = $0.running.removeValue(forKey: recall.id) }
    }
}
