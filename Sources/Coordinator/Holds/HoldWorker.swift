// SPDX-License-Identifier: Apache-2.0

import Catalog
import Logging
import NIOConcurrencyHelpers
import Placement
import ReplicationProtocol
import Telemetry

/// Has the storage nodes told of legal holds while its coordinator leads, one round after another.
///
/// ``run()`` is the only task that gives these orders; ``update(_:)`` tells it what the coordinator has learnt.
final class HoldWorker: Sendable {
    /// How long it rests when a node refused something.
    private static let rest = Duration.seconds(15)

    private let catalog: Catalog
    private let interval: Duration
    private let logger: Logger
    private let situation = NIOLockedValueBox<Situation?>(nil)

    init(catalog: Catalog, interval: Duration, logger: Logger) {
        self.catalog = catalog
        self.interval = interval
        self.logger = logger
    }

    /// Tells what is known now; `nil` when another coordinator leads.
    func update(_ situation: Situation?) {
        self.situation.withLockedValue { $0 = situation }
    }

    /// Works until the task is cancelled.
    func run() async {
        // Who is a member now is looked at again at a takeover, and with every new map.
        var lookedBack: OrderStamp?
        var answering: Set<NodeID> = []
        var restsUntil = ContinuousClock.now
        var lastFailure = ""
        while !Task.isCancelled {
            if let situation = situation.withLockedValue({ $0 }) {
                let peers = situation.peers
                let isChanged = answering != Set(peers.map(\.id))
                answering = Set(peers.map(\.id))
                if isChanged || ContinuousClock.now >= restsUntil {
                    do throws(CatalogError) {
                        let isDone = try await round(situation, peers).run(
                            looksBack: lookedBack != situation.stamp,
                            issuedAtMilliseconds: Timestamp.now().milliseconds
                        )
                        lookedBack = situation.stamp
                        restsUntil = isDone ? .now : .now + Self.rest
                        lastFailure = ""
                    } catch {
                        // Said once, not each second; that another leads its coordinator finds out by itself.
                        let failure = "\(error)"
                        if error.code != .staleTerm, failure != lastFailure {
                            logger.warning(
                                "storage nodes cannot be told of holds now",
                                metadata: ["reason": "\(failure)"]
                            )
                            lastFailure = failure
                        }
                    }
                }
            }
            // Cancellation ends the wait, and with it the loop.
            try? await Task.sleep(for: interval)
        }
    }

    private func round(_ situation: Situation, _ peers: [ConnectedPeer]) -> HoldRound {
        HoldRound(
            ledger: catalog,
            peers: peers,
            members: situation.map.members.map(\.id),
            stamp: situation.stamp,
            logger: logger
        )
    }
}
