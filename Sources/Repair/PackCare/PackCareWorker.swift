// SPDX-License-Identifier: Apache-2.0

import Catalog
package import Logging
import NIOConcurrencyHelpers
import ReplicationProtocol

/// Has packs read that somebody wants proven, and removed from their stores where they are to go, while its coordinator leads.
///
/// ``run()`` is the only task that gives these orders; ``update(_:)`` tells it what the coordinator has learnt.
package final class PackCareWorker: Sendable {
    private let ledger: any PackCareLedger
    private let limits: PackCareLimits
    private let clock: RepairClock
    private let interval: Duration
    private let logger: Logger
    private let now: @Sendable () -> Int64
    private let view = NIOLockedValueBox<PackCareView?>(nil)

    /// Looks every `interval` whether there is something to do; `now` is milliseconds since 1970.
    package init(
        ledger: any PackCareLedger,
        limits: PackCareLimits,
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
    package func update(_ view: PackCareView?) {
        self.view.withLockedValue { $0 = view }
    }

    /// Works until the task is cancelled.
    package func run() async {
        // A pack of terabytes that is read does not keep others in their stores.
        async let reading: Void = repeatedly("packs cannot be read now") { view in await self.read(view) }
        async let removing: Void = removeRepeatedly()
        await reading
        await removing
    }

    private func removeRepeatedly() async {
        guard limits.removes else { return }
        let lastLook = NIOLockedValueBox<Duration?>(nil)
        await repeatedly("packs cannot be removed now") { view in await self.remove(view, lastLook) }
    }

    /// Says once, not each second, what is in the way.
    private func repeatedly(_ complaint: Logger.Message, _ step: (PackCareView) async -> String?) async {
        var lastFailure = ""
        while !Task.isCancelled {
            if let view = view.withLockedValue({ $0 }) {
                let failure = await step(view) ?? ""
                if !failure.isEmpty, failure != lastFailure {
                    logger.warning(complaint, metadata: ["reason": "\(failure)"])
                }
                lastFailure = failure
            }
            // Cancellation ends the wait, and with it the loop.
            await clock.sleep(interval)
        }
    }

    /// What is in the way; that another leads its coordinator finds out by itself.
    private func read(_ view: PackCareView) async -> String? {
        let due: [DuePackReading]
        do throws(CatalogError) {
            due = try await ledger.duePackReadings(limit: limits.readingsAtOnce, term: view.stamp.term)
        } catch {
            return error.code == .staleTerm ? nil : "\(error)"
        }
        let run = PackReadingRun(ledger: ledger, view: view, limits: limits, logger: logger)
        return await withTaskGroup(of: String?.self) { tasks in
            for reading in due { tasks.addTask { await Self.failure(of: reading, run) } }
            var failure: String?
            for await found in tasks { failure = failure ?? found }
            return failure
        }
    }

    private static func failure(of reading: DuePackReading, _ run: PackReadingRun) async -> String? {
        do throws(CatalogError) {
            try await run.run(reading)
            return nil
        } catch {
            return error.code == .staleTerm ? nil : "\(error)"
        }
    }

    private func remove(_ view: PackCareView, _ lastLook: NIOLockedValueBox<Duration?>) async -> String? {
        let run = PackRemovalRun(ledger: ledger, view: view, limits: limits, logger: logger, now: now)
        let time = clock.now()
        do throws(CatalogError) {
            if lastLook.withLockedValue({ $0 }).map({ time - $0 >= limits.markInterval }) ?? true {
                try await run.mark()
                lastLook.withLockedValue { $0 = time }
            }
            try await run.remove()
            return nil
        } catch {
            return error.code == .staleTerm ? nil : "\(error)"
        }
    }
}
