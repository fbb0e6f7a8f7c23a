// SPDX-License-Identifier: Apache-2.0

import Catalog
package import Logging
import NIOConcurrencyHelpers
package import Placement
import Reconciliation
import ReplicationProtocol

/// Compares the catalog with what the nodes have while its coordinator leads: one placement group after another, all of them in
/// a period, and for ever; and looks at what was found missing, or reported so.
///
/// ``run()`` is the only task that does so; ``update(_:)`` tells it what the coordinator has learnt. How far it is stands in the
/// catalog, so whoever takes over goes on.
package final class ComparisonWorker: Sendable {
    /// Groups that are compared at most before the rest of the cluster is looked at again.
    private static let groupsAtOnce = 64

    private let ledger: any ComparisonLedger
    private let missing: MissingCopies
    private let uncounted: UncountedCopies
    private let interval: Duration
    private let pause: Duration?
    private let following: @Sendable (PlacementGroup) -> PlacementGroup
    private let clock: RepairClock
    private let known: NIOLockedValueBox<ComparisonView?>
    private let progress = NIOLockedValueBox(Progress())
    private let logger: Logger

    /// Compares all groups within `period`, or none without one; looks every `interval` whether there is something to do.
    ///
    /// `gate` is that of the dropping of copies of the same coordinator. `following` says which group comes after one: where only some can have records, the others need no look.
    package init(
        ledger: any ComparisonLedger,
        gate: CountingGate,
        limits: RepairLimits,
        period: Duration?,
        interval: Duration,
        following: @escaping @Sendable (PlacementGroup) -> PlacementGroup = { $0.next },
        clock: RepairClock = .continuous,
        logger: Logger
    ) {
        let known = NIOLockedValueBox<ComparisonView?>(nil)
        self.known = known
        self.ledger = ledger
        self.interval = interval
        self.pause = period.map { $0 / PlacementGroup.count }
        self.following = following
        self.clock = clock
        self.logger = logger
        let pacing = NIOLockedValueBox(TransferPacing(bytesPerSecond: limits.bytesPerSecond))
        let view: @Sendable () -> ComparisonView? = { known.withLockedValue { $0 } }
        self.missing = MissingCopies(
            ledger: ledger,
            gate: gate,
            limits: limits,
            view: view,
            pacing: pacing,
            clock: clock,
            logger: logger
        )
        self.uncounted = UncountedCopies(
            ledger: ledger,
            gate: gate,
            view: view,
            pause: { await clock.sleep(interval) },
            logger: logger
        )
    }

    /// Tells what is known now; nil when another coordinator leads.
    package func update(_ view: ComparisonView?) {
        known.withLockedValue { $0 = view }
    }

    /// When the next group is due, in a term.
    private struct Schedule {
        let term: Term
        var group: PlacementGroup
        var due: Duration
    }

    /// Of the one task that works.
    private struct Progress {
        var schedule: Schedule?
        var lastFailure = ""
    }

    /// Works until the task is cancelled.
    package func run() async {
        while !Task.isCancelled {
            await step()
            // Cancellation ends the wait, and with it the loop.
            await clock.sleep(interval)
        }
    }

    /// Looks once at what was reported, and at the groups that are due.
    package func step() async {
        do throws(CatalogError) {
            if let view = known.withLockedValue({ $0 }) {
                try await missing.run(view.stamp.term)
                try await compareWhatIsDue(view)
            }
            progress.withLockedValue { $0.lastFailure = "" }
        } catch {
            // Said once, not each second; that another leads its coordinator finds out by itself.
            let failure = "\(error)"
            let isNews = progress.withLockedValue { progress in
                progress.schedule = nil
                guard error.code != .staleTerm, failure != progress.lastFailure else { return false }
                progress.lastFailure = failure
                return true
            }
            if isNews { logger.warning("the catalog cannot be compared now", metadata: ["reason": "\(failure)"]) }
        }
    }

    private func compareWhatIsDue(_ view: ComparisonView) async throws(CatalogError) {
        // On nobody's word there is nothing to compare.
        guard let pause, !view.trusted.isEmpty, var next = try await schedule(view.stamp.term, pause) else { return }
        for _ in 0..<Self.groupsAtOnce {
            guard clock.now() >= next.due, !Task.isCancelled, let view = known.withLockedValue({ $0 }),
                view.stamp.term == next.term
            else { return }
            let outcome = try await GroupComparison(ledger: ledger).run(next.group, view)
            guard !Task.isCancelled else { return }
            try await ledger.reportMissing(outcome.missing)
            try await uncounted.run(outcome.uncounted, next.term)
            try await ledger.noteComparison(of: next.group, outcome.counts, term: next.term)
            say(next.group, outcome.counts)
            next.group = following(next.group)
            // What could not be done in its time, because it took longer or nobody was trusted, is not made up for.
            next.due = max(next.due + pause, clock.now() - interval)
            progress.withLockedValue { $0.schedule = next }
        }
    }

    /// What is due next in this term; at its beginning, as the catalog says.
    private func schedule(_ term: Term, _ pause: Duration) async throws(CatalogError) -> Schedule? {
        if let known = progress.withLockedValue({ $0.schedule }), known.term == term { return known }
        let position = try await ledger.comparisonPosition()
        guard let group = position.group else { return nil }
        let left = position.age.map { max(.zero, pause - $0) } ?? .zero
        let schedule = Schedule(term: term, group: group, due: clock.now() + left)
        progress.withLockedValue { $0.schedule = schedule }
        return schedule
    }

    private func say(_ group: PlacementGroup, _ counts: ComparisonCounts) {
        if counts.missingCount > 0 {
            logger.warning(
                "copies are not where the catalog says",
                metadata: ["group": "\(group.rawValue)", "copies": "\(counts.missingCount)"]
            )
        }
        if counts.orphanCount > 0 || counts.uncountedCount > 0 || counts.trashedCount > 0 {
            // Stores that are under way among them.
            logger.debug(
                "nodes have what the catalog does not name",
                metadata: [
                    "group": "\(group.rawValue)", "records without a row": "\(counts.orphanCount)",
                    "copies that are not counted": "\(counts.uncountedCount)",
                    "in the trash": "\(counts.trashedCount)",
                ]
            )
        }
        if following(group) <= group { logger.notice("the catalog has been compared with the storage nodes") }
    }
}

extension PlacementGroup {
    /// The group after it; the first after the last.
    package var next: PlacementGroup {
        PlacementGroup(rawValue: UInt16((Int(rawValue) + 1) % PlacementGroup.count)) ?? self
    }
}
