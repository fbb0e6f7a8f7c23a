// SPDX-License-Identifier: Apache-2.0

import Catalog
import ColdStore
import Logging
import ServiceLifecycle

/// Opens the stores that packs were moved to lately when the process starts, and keeps connections to their servers open.
///
/// The first image of a cold study would otherwise wait for that, too: over a network, and with TLS, longer than for its bytes.
struct ColdStoreKeeper: Sendable {
    let catalog: Catalog
    let stores: ColdStores
    let logger: Logger

    /// Shorter than connections stay open without a request.
    private static let interval = Duration.seconds(20)
    private static let moveLimit = 100

    /// Keeps them until it is cancelled by graceful shutdown.
    func run() async {
        await cancelWhenGracefulShutdown {
            var isOpened = false
            while !Task.isCancelled {
                if !isOpened { isOpened = await open() }
                await stores.keepReady()
                // Cancellation ends the wait, and with it the loop.
                try? await Task.sleep(for: Self.interval)
            }
        }
    }

    /// Whether the catalog has said which.
    private func open() async -> Bool {
        let places: [String]
        do throws(CatalogError) {
            places = try await catalog.placesOfLastMoves(limit: Self.moveLimit)
        } catch {
            return false
        }
        for place in places {
            do throws(ColdStoreError) {
                _ = try await stores.store(at: place)
            } catch {
                logger.warning(
                    "a store that packs were moved to can't be used: cold studies in it can't be read by this node",
                    metadata: ["store": "\(place)", "error": "\(error)"]
                )
            }
        }
        return true
    }
}
