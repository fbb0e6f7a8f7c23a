// SPDX-License-Identifier: Apache-2.0

import Catalog
import ClusterClient
import Logging
import NIOPosix
import Placement
import ServiceLifecycle

/// Keeps the cluster client's placement map as the catalog has it, by asking once a second.
///
/// When the catalog is away the last map stays in use, also that of an earlier process: stores and reads by UID go on.
/// One task runs it.
final class MapFollower: Sendable {
    private let catalog: Catalog
    private let cluster: ClusterClient
    private let health: CatalogHealth
    private let cache: MapCache
    private let threads: NIOThreadPool
    private let logger: Logger

    /// `threads` read and write the cache.
    init(
        catalog: Catalog,
        cluster: ClusterClient,
        health: CatalogHealth,
        cache: MapCache,
        threads: NIOThreadPool,
        logger: Logger
    ) {
        self.catalog = catalog
        self.cluster = cluster
        self.health = health
        self.cache = cache
        self.threads = threads
        self.logger = logger
    }

    /// Follows until graceful shutdown or cancellation.
    func run() async {
        await cancelWhenGracefulShutdown {
            var isFailing = false
            while !Task.isCancelled {
                do {
                    let map = try await self.catalog.placementMap()
                    if !map.members.isEmpty && map != self.cluster.map { await self.adopt(map) }
                    self.health.answered()
                    if isFailing { self.logger.notice("the catalog answers again") }
                    isFailing = false
                } catch {
                    if !isFailing {
                        self.logger.warning("the catalog does not answer; going on with the last map", error: error)
                    }
                    self.health.failed()
                    if self.cluster.map == nil { await self.resume() }
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
        do {
            let cache = cache
            try await threads.runIfActive { try cache.save(map) }
        } catch {
            logger.warning("the placement map cannot be kept for a start without the catalog", error: error)
        }
    }

    /// Takes the map that an earlier process kept.
    private func resume() async {
        let cache = cache
        // Threads that have been shut down: the process is ending.
        guard let map = try? await threads.runIfActive({ cache.load() }) else { return }
        logger.notice(
            "starting with the placement map that was kept, the catalog does not answer",
            metadata: ["epoch": "\(map.epoch.rawValue)", "members": "\(map.members.count)"]
        )
        await cluster.update(map)
    }
}
