// SPDX-License-Identifier: Apache-2.0

import Catalog
import Logging
import NIOConcurrencyHelpers
import Placement
import ReplicationProtocol
import ReplicationTransport

/// Carries out what was wanted of the trash while its coordinator leads, one round after another.
///
/// ``run()`` is the only task that gives these orders; ``update(_:)`` tells it what the coordinator has learnt.
final class TrashWorker: Sendable {
    /// How long an order rests that could not be carried out completely, unless other nodes answer.
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
        // What was done is looked at again when somebody else may be a member: at a takeover, and with every new map.
        var lookedBack: OrderStamp?
        var answering: Set<NodeID> = []
        var resting: [Int64: ContinuousClock.Instant] = [:]
        var lastFailure = ""
        while !Task.isCancelled {
            if let situation = situation.withLockedValue({ $0 }) {
                let peers = situation.peers
                let now = ContinuousClock.now
                if answering != Set(peers.map(\.id)) { resting = [:] }
                answering = Set(peers.map(\.id))
                resting = resting.filter { $0.value > now }
                let round = TrashRound(
                    ledger: catalog,
                    peers: peers,
                    members: situation.map.members.map(\.id),
                    stamp: situation.stamp,
                    logger: logger
                )
                do throws(TrashRound.Obstacle) {
                    let open = try await round.run(
                        looksBack: lookedBack != situation.stamp,
                        resting: Set(resting.keys)
                    )
                    lookedBack = situation.stamp
                    for number in open where resting[number] == nil { resting[number] = .now + Self.rest }
                    lastFailure = ""
                } catch {
                    // Said once, not each second; that another leads its coordinator finds out by itself.
                    if case .catalog(let reason) = error, reason != lastFailure {
                        logger.warning("the trash cannot be worked on now", metadata: ["reason": "\(reason)"])
                        lastFailure = reason
                    }
                }
            }
            // Cancellation ends the wait, and with it the loop.
            try? await Task.sleep(for: interval)
        }
    }
}

extension ConnectedPeer: TrashPeer {
    func gives(_ id: RecordID) async throws(ReplicationError) -> Bool {
        try await client.head(id, priority: .repair) != nil
    }
}
