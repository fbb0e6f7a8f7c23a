// SPDX-License-Identifier: Apache-2.0

import Catalog
import Healing
import Logging
import NIOConcurrencyHelpers
import Placement
import ReplicationProtocol
import Telemetry

/// Looks for storage nodes with damage and has them healed, one after another, while its coordinator leads.
///
/// ``run()`` is the only task that heals; ``update(_:)`` tells it what the coordinator has learnt.
final class Healer: Sendable {
    /// How long a node is left alone that could not be healed completely: at first, and at most.
    private static let pauseMilliseconds: (first: Int64, last: Int64) = (60_000, 3_600_000)
    /// The most records that are named in one line of the log.
    private static let namedCount = 20

    private let catalog: Catalog
    private let interval: Duration
    private let losses: NIOLockedValueBox<LossAges>
    private let start = ContinuousClock.now
    private let logger: Logger
    private let situation = NIOLockedValueBox<Situation?>(nil)

    /// Looks every `interval`; `catalog` says what nodes should have, and losses without names settle for so long.
    init(catalog: Catalog, interval: Duration, settling: Duration, logger: Logger) {
        self.catalog = catalog
        self.interval = interval
        self.losses = NIOLockedValueBox(LossAges(settling: settling))
        self.logger = logger
    }

    /// Tells what is known now; `nil` when another coordinator leads.
    func update(_ situation: Situation?) {
        self.situation.withLockedValue { $0 = situation }
    }

    /// Heals until the task is cancelled.
    func run() async {
        var pauses: [NodeID: Pause] = [:]
        while !Task.isCancelled {
            for id in situation.withLockedValue({ $0?.nodes.map(\.peer.id) ?? [] }) {
                // Looked at anew for each node: the one before may have taken hours.
                guard let situation = situation.withLockedValue({ $0 }) else { break }
                let nodes = situation.nodes
                guard let (peer, status, incarnation) = nodes.first(where: { $0.peer.id == id }) else { continue }
                guard status.needsHealing else {
                    losses.withLockedValue { $0.forget(id) }
                    continue
                }
                let answering = Set(nodes.map(\.peer.id))
                let pause = pauses[id]
                if let pause, pause.covers(status, answering) { continue }
                pauses[id] = await heal(peer, status, incarnation, situation).map { left in
                    let longer = max(
                        Self.pauseMilliseconds.first,
                        min((pause?.length ?? 0) * 2, Self.pauseMilliseconds.last)
                    )
                    return Pause(left.settlesInMilliseconds ?? longer, left.remainingCount, answering)
                }
            }
            // Cancellation ends the wait, and with it the loop.
            try? await Task.sleep(for: interval)
        }
    }

    /// A node that is left alone.
    private struct Pause {
        let length: Int64
        private let remainingCount: UInt64
        private let answering: Set<NodeID>
        private let until: Int64

        /// A pause of so many milliseconds, with so much damage left, and these nodes answering.
        init(_ length: Int64, _ remainingCount: UInt64, _ answering: Set<NodeID>) {
            self.length = length
            self.remainingCount = remainingCount
            self.answering = answering
            self.until = Timestamp.now().milliseconds + length
        }

        /// Whether the node is to be left alone still: not when it has more damage, or others answer than before.
        func covers(_ status: NodeStatusReport, _ answering: Set<NodeID>) -> Bool {
            Timestamp.now().milliseconds < until && status.scrub?.quarantinedCount ?? 0 <= remainingCount
                && answering == self.answering
        }
    }

    /// What is left to be done for a node.
    private struct Left {
        let remainingCount: UInt64
        /// When it can be compared, if that is what is waited for.
        var settlesInMilliseconds: Int64?
    }

    /// Heals one node; returns what is left when it is to be left alone for a while.
    private func heal(
        _ peer: ConnectedPeer,
        _ status: NodeStatusReport,
        _ incarnation: UInt64,
        _ situation: Situation
    ) async -> Left? {
        var logger = logger
        logger[metadataKey: "node"] = "\(peer.name)"
        let healing = NodeHealing(
            peer,
            others: situation.nodes.map(\.peer),
            map: situation.map,
            stamp: situation.stamp,
            catalog: catalog,
            timeToSettle: { [losses, start] unnamed in
                let loss = LossAges.Loss(incarnation: incarnation, unnamed: unnamed)
                return losses.withLockedValue { $0.timeLeft(peer.id, loss, now: ContinuousClock.now - start) }
            },
            logger: logger
        )
        do throws(ReplicationError) {
            let outcome = try await healing.run(isUncertain: status.isUncertain)
            report(outcome, logger)
            let isWhole = outcome.remainingCount == 0 && outcome.obstacle == nil
            guard !isWhole else { return nil }
            let settling = outcome.timeToSettle
            return Left(
                remainingCount: outcome.remainingCount,
                settlesInMilliseconds: settling > .zero ? Int64(settling / .milliseconds(1)) + 1 : nil
            )
        } catch {
            if !Task.isCancelled { logger.warning("healing was broken off", metadata: ["reason": "\(error)"]) }
            return Left(remainingCount: status.scrub?.quarantinedCount ?? 0)
        }
    }

    private func report(_ outcome: NodeHealing.Outcome, _ logger: Logger) {
        var facts: Logger.Metadata = [
            "fetched": "\(outcome.fetchedCount)", "damaged ranges left": "\(outcome.remainingCount)",
        ]
        if outcome.timeToSettle > .zero {
            facts["compared in seconds"] = "\(Int64(outcome.timeToSettle / .seconds(1)) + 1)"
        }
        if outcome.isReconciled { facts["compared"] = "with the catalog and all nodes" }
        guard outcome.remainingCount > 0 || outcome.obstacle != nil else {
            logger.notice("healed", metadata: facts)
            return
        }
        if let obstacle = outcome.obstacle { facts["obstacle"] = "\(obstacle)" }
        for (name, ids) in [("no other copy", outcome.absent), ("copies out of reach", outcome.doubtful)]
        where !ids.isEmpty {
            let more = ids.count > Self.namedCount ? " and \(ids.count - Self.namedCount) more" : ""
            facts[name] = "\(ids.prefix(Self.namedCount).map { "\($0)" }.joined(separator: " "))\(more)"
        }
        logger.warning("not healed completely; will be tried again", metadata: facts)
    }
}

extension NodeStatusReport {
    /// Whether the node has damage, or has lost it knows not what.
    fileprivate var needsHealing: Bool { isUncertain || (scrub?.quarantinedCount ?? 0) > 0 }
}

extension Catalog: HealingCatalog {}
