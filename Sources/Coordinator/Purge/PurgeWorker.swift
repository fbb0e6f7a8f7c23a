// SPDX-License-Identifier: Apache-2.0

import Catalog
import Logging
import NIOConcurrencyHelpers
import Placement
import ReplicationProtocol
import ReplicationTransport
import Telemetry

/// Has the trash of the storage nodes emptied while its coordinator leads.
///
/// ``run()`` is the only task that gives these orders; ``update(_:)`` tells it what the coordinator has learnt.
final class PurgeWorker: Sendable {
    /// The longest time from the beginning to the first round, and between two when a node has more to destroy.
    private static let firstPause = Duration.seconds(300)

    private let catalog: Catalog
    private let limits: PurgeLimits
    private let interval: Duration
    private let logger: Logger
    private let situation = NIOLockedValueBox<Situation?>(nil)

    init(catalog: Catalog, limits: PurgeLimits, interval: Duration, logger: Logger) {
        self.catalog = catalog
        self.limits = limits
        self.interval = interval
        self.logger = logger
    }

    /// Tells what is known now; `nil` when another coordinator leads.
    func update(_ situation: Situation?) {
        self.situation.withLockedValue { $0 = situation }
    }

    /// Works until the task is cancelled.
    func run() async {
        guard let period = limits.period else { return }
        let soon = min(period, Self.firstPause)
        var next: ContinuousClock.Instant?
        var lastFailure = ""
        while !Task.isCancelled {
            if let situation = situation.withLockedValue({ $0 }) {
                if let due = next, due <= .now {
                    do throws(CatalogError) {
                        let hasMore = try await round(situation)
                        next = .now + (hasMore ? soon : period)
                        lastFailure = ""
                    } catch {
                        next = .now + soon
                        // Said once; that another leads its coordinator finds out by itself.
                        if error.code != .staleTerm, "\(error)" != lastFailure {
                            logger.warning("the trash of the nodes can't be emptied", metadata: ["reason": "\(error)"])
                        }
                        lastFailure = "\(error)"
                    }
                }
                next = next ?? .now + soon
            } else {
                // Who leads anew looks at the cluster for a while first.
                next = nil
            }
            // Cancellation ends the wait, and with it the loop.
            try? await Task.sleep(for: interval)
        }
    }

    private func round(_ situation: Situation) async throws(CatalogError) -> Bool {
        // While something is badly wrong nothing is destroyed: whatever is still there may be needed.
        guard situation.alarm.isEmpty else { return false }
        let now = Timestamp.now().milliseconds
        let peers = situation.nodes.filter { PurgeLimits.mayDestroy($0.status) }.map(\.peer)
        var generator = SystemRandomNumberGenerator()
        return try await PurgeRound(ledger: catalog, stamp: situation.stamp, logger: logger).run(
            peers,
            retiredBeforeMilliseconds: now - limits.grace.wholeMilliseconds,
            using: &generator
        )
    }
}

extension Catalog: PurgeLedger {}

extension ConnectedPeer: PurgePeer {
    func purge(
        _ permit: PurgePermit,
        _ stamp: OrderStamp,
        maximumSegmentCount: UInt64
    ) async throws(ReplicationError) -> PurgeResult {
        try await client.purge(
            permit: ReferenceID(high: permit.high, low: permit.low),
            stamp,
            retiredBeforeMilliseconds: UInt64(clamping: permit.retiredBeforeMilliseconds),
            maximumSegmentCount: maximumSegmentCount,
            priority: .repair
        )
    }
}

extension Duration {
    fileprivate var wholeMilliseconds: Int64 { components.seconds * 1_000 }
}
