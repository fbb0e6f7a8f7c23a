// SPDX-License-Identifier: Apache-2.0

import Catalog
import ClusterClient
import Logging
import NIOConcurrencyHelpers
import Placement
import ServiceLifecycle
import Telemetry

/// Keeps the cluster client's placement map as the catalog has it, by asking once a second.
///
/// When the catalog is away the last map stays in use: stores and reads by UID go on. One task runs it; others only
/// ask how fresh it is.
final class MapFollower: Sendable {
    private let catalog: Catalog
    private let cluster: ClusterClient
    private let logger: Logger
    private let lastSuccess = NIOLockedValueBox<Timestamp?>(nil)

    init(catalog: Catalog, cluster: ClusterClient, logger: Logger) {
        self.catalog = catalog
        self.cluster = cluster
        self.logger = logger
    }

    /// When the catalog last answered.
    var lastAnswer: Timestamp? {
        lastSuccess.withLockedValue { $0 }
    }

    /// Follows until graceful shutdown or cancellation.
    func run() async {
        await cancelWhenGracefulShutdown {
            var isFailing = false
            while !Task.isCancelled {
                do {
                    let map = try await self.catalog.placementMap()
                    if !map.members.isEmpty && map != self.cluster.map { await self.adopt(map) }
                    self.lastSuccess.withLockedValue { $0 = Timestamp.now() }
                    if isFailing { self.logger.notice("the catalog answers again") }
                    isFailing = false
                } catch {
                    if !isFailing {
                        self.logger.warning("the catalog does not answer; going on with the last map", error: error)
                    }
                    isFailing = true
                }
                let isWaiting = self.cluster.map == nil
                // Cancellation ends the wait, and with it the loop.
                try? await Task.sleep(for: isWaiting ? .milliseconds(100) : .seconds(1))
            }
        }
    }

    private func adopt(_ map: PlacementMap) async {
        if map.epoch != cluster.mapEpoch {
            logger.info(
                "following a new placement map",
                metadata: ["epoch": "\(map.epoch.rawValue)", "members": "\(map.members.count)"]
            )
        }
        await cluster.update(map)
    }
}
