// SPDX-License-Identifier: Apache-2.0

import Catalog
package import Logging
import NIOConcurrencyHelpers

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
        var lastFailure = ""
        while !Task.isCancelled {
            if let view = view.withLockedValue({ $0 }), !view.peers.isEmpty {
                let failure = await round(view)
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

    /// Takes up what is due; what was in the way, unless it is that another coordinator leads.
    private func round(_ view: MoveView) async -> String? {
        let moves: [PackMove]
        do throws(CatalogError) {
            moves = try await ledger.dueMoves(limit: limits.movesAtOnce)
        } catch {
            return error.code == .staleTerm ? nil : "\(error)"
        }
        let run = MoveRun(ledger: ledger, view: view, limits: limits, logger: logger, now: now)
        return await withTaskGroup(of: String?.self) { tasks in
            for move in moves { tasks.addTask { await Self.advance(move, run) } }
            var failure: String?
            for await one in tasks { failure = failure ?? one }
            return failure
        }
    }

    private static func advance(_ move: PackMove, _ run: MoveRun) async -> String? {
        do throws(CatalogError) {
            try await run.run(move)
            return nil
        } catch {
            return error.code == .staleTerm ? nil : "\(error)"
        }
    }
}
