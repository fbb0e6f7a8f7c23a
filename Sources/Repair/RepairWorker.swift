// SPDX-License-Identifier: Apache-2.0

import Catalog
package import Logging
import NIOConcurrencyHelpers
package import Placement
package import Reconciliation
package import ReplicationProtocol

/// Brings copies where they are wanted while its coordinator leads: surveys what differs, and has it done.
///
/// ``run()`` is the only task that gives these orders; ``update(_:_:_:peers:idle:alarm:)`` tells it what the coordinator has learnt.
package final class RepairWorker: Sendable {
    private struct Known {
        var view: RepairView?
        var surplusView: SurplusView?
        var alarm = ""
        var conditions: [NodeCondition] = []
        var map: PlacementMap?
        var version = 0
    }

    private let copies: Int
    private let limits: RepairLimits
    private let interval: Duration
    private let ledger: any RepairLedger
    private let plan: RepairPlan
    private let executor: RepairExecutor
    private let surplus: SurplusPlan
    private let dropper: SurplusDropper?
    private let survey: RepairSurvey
    private let known: NIOLockedValueBox<Known>
    private let clock: RepairClock
    private let logger: Logger

    /// Looks every `interval` whether there is something to do.
    ///
    /// Without a ledger for `surplus` no copy is dropped. `gate` is that of the comparison of the same coordinator, and `permitPrefix`
    /// tells the permits of this process from those of others.
    package init(
        ledger: any RepairLedger,
        surplus surplusLedger: (any SurplusLedger)? = nil,
        gate: CountingGate,
        permitPrefix: UInt64 = .random(in: 0 ... .max),
        copies: Int,
        limits: RepairLimits,
        interval: Duration,
        clock: RepairClock = .continuous,
        logger: Logger
    ) {
        let known = NIOLockedValueBox(Known())
        let plan = RepairPlan()
        self.known = known
        self.plan = plan
        self.copies = copies
        self.limits = limits
        self.interval = interval
        self.ledger = ledger
        self.clock = clock
        self.logger = logger
        self.survey = RepairSurvey(ledger: ledger, copies: copies)
        self.executor = RepairExecutor(ledger: ledger, plan: plan, limits: limits, clock: clock, logger: logger) {
            known.withLockedValue { $0.view }
        }
        let surplus = SurplusPlan()
        self.surplus = surplus
        self.dropper = surplusLedger.map { ledger in
            SurplusDropper(
                ledger: ledger,
                plan: surplus,
                limits: limits,
                gate: gate,
                permitPrefix: permitPrefix,
                clock: clock,
                logger: logger
            ) {
                known.withLockedValue { $0.surplusView }
            }
        }
    }

    /// Tells what is known now: the map in force, how the nodes stand, the members that answer, those of them that serve nobody, and
    /// what operators have to know.
    package func update(
        _ map: PlacementMap,
        _ conditions: [NodeCondition],
        _ stamp: OrderStamp,
        peers: [any RepairPeer],
        idle: Set<NodeID> = [],
        alarm: String
    ) {
        known.withLockedValue { known in
            if known.map != map || known.conditions != conditions { known.version += 1 }
            known.map = map
            known.conditions = conditions
            known.alarm = alarm
            let planner = Planner(map: map, copies: copies, nodes: conditions)
            known.view = RepairView(
                stamp: stamp,
                planner: planner,
                peers: peers,
                idle: idle,
                version: known.version
            )
            let droppers = peers.compactMap { $0 as? any SurplusPeer }
            known.surplusView = SurplusView(stamp: stamp, planner: planner, peers: droppers)
        }
    }

    /// Another coordinator leads.
    package func rest() {
        known.withLockedValue { known in
            known.view = nil
            known.surplusView = nil
        }
    }

    /// Works until the task is cancelled.
    package func run() async {
        async let surveying: Void = keepSurveying()
        async let executing: Void = keepExecuting()
        _ = await (surveying, executing)
    }

    private func keepExecuting() async {
        var lastFailure = ""
        while !Task.isCancelled {
            var (_, obstacle) = await executor.drain()
            // After all copying, and never beside it: no copy is counted while it is dropped.
            if obstacle == nil, let dropper {
                obstacle = await dropper.run(while: { [plan] in plan.nextLivingCount == nil }).obstacle
            }
            // Said once, not each second; that another leads its coordinator finds out by itself.
            if case .catalog(let reason) = obstacle {
                if reason != lastFailure {
                    logger.warning("copies cannot be made or dropped now", metadata: ["reason": "\(reason)"])
                }
                lastFailure = reason
            } else {
                lastFailure = ""
            }
            // Cancellation ends the wait, and with it the loop.
            await clock.sleep(interval)
        }
    }

    /// What the last survey was made of.
    private struct Survey {
        let term: Term
        let version: Int
        let time: Duration
        let itemCount: Int
        let droppedCount: Int
    }

    private func keepSurveying() async {
        var last: Survey?
        var summary = ""
        var report = RateReport()
        while !Task.isCancelled {
            let view = known.withLockedValue { $0.view }
            if let view {
                do throws(RepairObstacle) {
                    if isDue(last, view) {
                        let itemCount = executor.progress.itemCount
                        let droppedCount = dropper?.progress.itemCount ?? 0
                        let differences = try await survey.run(view)
                        plan.replace(differences)
                        surplus.replace(differences)
                        if last?.term != view.stamp.term { summary = "" }
                        say(differences, &summary)
                        last = Survey(
                            term: view.stamp.term,
                            version: view.version,
                            time: clock.now(),
                            itemCount: itemCount,
                            droppedCount: droppedCount
                        )
                    }
                    let end = clock.now() + interval
                    while clock.now() < end, try await survey.count(view.stamp.term) {}
                    try await note(&report, view)
                } catch {
                    if case .catalog(let reason) = error {
                        logger.debug("the copies cannot be surveyed now", metadata: ["reason": "\(reason)"])
                    }
                }
            } else {
                last = nil
            }
            // Cancellation ends the wait, and with it the loop.
            await clock.sleep(interval)
        }
    }

    /// At a takeover and when nodes or the map have changed; when what was found is done; and from time to time.
    private func isDue(_ last: Survey?, _ view: RepairView) -> Bool {
        guard let last, last.term == view.stamp.term else { return true }
        let age = clock.now() - last.time
        guard age >= min(interval * 2, limits.surveyInterval) else { return false }
        return last.version != view.version || age >= limits.surveyInterval
            || (plan.nextLivingCount == nil && executor.progress.itemCount != last.itemCount)
            || (surplus.nodes.isEmpty && dropper?.progress.itemCount ?? 0 != last.droppedCount)
    }

    private func say(_ differences: [Difference], _ summary: inout String) {
        var waiting = 0
        var counts: [Difference.Kind: Int] = [:]
        for difference in differences {
            switch difference.step {
            case .wait: if difference.kind != .surplus { waiting += 1 }
            case .copy: counts[difference.kind, default: 0] += 1
            case .drop: continue
            }
        }
        let lacking = differences.count { $0.isUnderReplicated }
        let facts: Logger.Metadata = [
            "groups with fewer copies": "\(lacking)", "repair": "\(counts[.repair] ?? 0)",
            "drain": "\(counts[.drain] ?? 0)",
            "rebalance": "\(counts[.rebalance] ?? 0)", "waiting": "\(waiting)",
        ]
        let isDone = lacking == 0 && waiting == 0 && counts.isEmpty
        let now = isDone ? "" : "\(lacking) \(waiting) \(Difference.Kind.allCases.map { counts[$0] ?? 0 })"
        guard now != summary else { return }
        if isDone {
            logger.notice("all copies are where they are wanted")
        } else if summary.isEmpty {
            logger.notice("copies are not where they are wanted", metadata: facts)
        } else {
            logger.info("copies are being made", metadata: facts)
        }
        summary = now
    }

    /// The rate, and when it was written down.
    private struct RateReport {
        var rate = TransferRate()
        var time: Duration?
        var written = ""
    }

    private func note(_ report: inout RateReport, _ view: RepairView) async throws(RepairObstacle) {
        let now = clock.now()
        guard report.time.map({ now - $0 >= .seconds(5) }) ?? true else { return }
        report.time = now
        let progress = executor.progress
        report.rate.note(itemCount: progress.itemCount, byteCount: progress.byteCount, at: now)
        let (items, bytes) = report.rate.perSecond
        let alarm = known.withLockedValue { $0.alarm }
        let text = "\(view.stamp.term.rawValue) \(items) \(bytes) \(alarm)"
        guard text != report.written else { return }
        do throws(CatalogError) {
            try await ledger.noteRepairRate(items: items, bytes: bytes, alarm: alarm, term: view.stamp.term)
        } catch {
            throw RepairObstacle(error)
        }
        report.written = text
    }
}
