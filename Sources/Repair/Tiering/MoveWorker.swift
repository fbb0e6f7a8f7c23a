// SPDX-License-Identifier: Apache-2.0

import Catalog
package import Logging
import NIOConcurrencyHelpers
import ReplicationProtocol

/// Has studies moved while its coordinator leads.
///
/// ``run()`` is the only task that gives these orders; ``update(_:)`` tells it what the coordinator has learnt.
package final class MoveWorker: Sendable {
    private let ledger: any MoveLedger
    private let limits: MoveLimits
    private let clock: RepairClock
    private let interval: Duration
    private let logger: Logger
    private let now: @Sendable () -> Int64
    private let view = NIOLockedValueBox<MoveView?>(nil)
    private let running = NIOLockedValueBox<Set<Int64>>([])

    /// Looks every `interval` whether there is something to do; `now` is milliseconds since 1970.
    package init(
        ledger: any MoveLedger,
        limits: MoveLimits = MoveLimits(),
        interval: Duration,
        clock: RepairClock = .continuous,
        logger: Logger,
        now: @escaping @Sendable () -> Int64
    ) {
        self.ledger = ledger
        self.limits = limits
        self.interval = interval
        self.clock = clock
        self.logger = logger
        self.now = now
    }

    /// Tells what is known now; `nil` when another coordinator leads.
    package func update(_ view: MoveView?) {
        self.view.withLockedValue { $0 = view }
    }

    /// Works until the task is cancelled.
    package func run() async {
        await withDiscardingTaskGroup { tasks in
            var lastFailure = ""
            var lastRecheck: Duration?
            while !Task.isCancelled {
                if let view = view.withLockedValue({ $0 }), !view.peers.isEmpty {
                    let (moves, obstacle) = await due()
                    var failure = obstacle
                    // A study of terabytes does not keep others waiting, as long as there is another place.
                    for move in moves where begin(move.id) {
                        let run = MoveRun(ledger: ledger, view: view, limits: limits, logger: logger, now: now)
                        tasks.addTask { await self.advance(move, run) }
                    }
                    if failure == nil, lastRecheck.map({ clock.now() - $0 >= limits.recheckInterval }) ?? true {
                        lastRecheck = clock.now()
                        failure = await recheck(view)
                    }
                    // Said once, not each second.
                    if let failure, failure != lastFailure {
                        logger.warning("studies cannot be moved now", metadata: ["reason": "\(failure)"])
                    }
                    lastFailure = failure ?? ""
                }
                // Cancellation ends the wait, and with it the loop.
                await clock.sleep(interval)
            }
        }
    }

    /// What can be worked on, among it what is being worked on already; or what is in the way.
    private func due() async -> (moves: [PackMove], obstacle: String?) {
        let count = limits.movesAtOnce + running.withLockedValue { $0.count }
        do throws(CatalogError) {
            let moves = try await ledger.dueMoves(limit: count)
            return (moves, nil)
        } catch {
            return ([], "\(error)")
        }
    }

    /// Whether there is a place for the move, which it has then.
    private func begin(_ move: Int64) -> Bool {
        running.withLockedValue { running in
            guard running.count < limits.movesAtOnce else { return false }
            return running.insert(move).inserted
        }
    }

    private func advance(_ move: PackMove, _ run: MoveRun) async {
        do throws(CatalogError) {
            try await run.run(move)
        } catch {
            // That the catalog is away is said when it is asked what is due, and that another leads by the lease.
            logger.debug("a move was broken off", metadata: ["move": "\(move.id)", "reason": "\(error)"])
        }
        running.withLockedValue { _ = $0.remove(move.id) }
    }

    /// Looks for packs that are to be read again.
    private func recheck(_ view: MoveView) async -> String? {
        guard let age = limits.recheckAge else { return nil }
        do throws(CatalogError) {
            let count = try await ledger.recheckPacks(
                olderThan: age,
                limit: limits.rechecksAtOnce,
                term: view.stamp.term
            )
            if count > 0 { logger.debug("packs are read again", metadata: ["moves": "\(count)"]) }
            return nil
        } catch {
            return error.code == .staleTerm ? nil : "\(error)"
        }
    }
}
