// SPDX-License-Identifier: Apache-2.0

import Catalog
import ColdStore
import Logging
import NIOCore
import ServiceLifecycle

/// Writes down in the catalog where records lie in their packs, soon after a pack is read from.
///
/// Whoever reads the first image of a cold study then waits for one range, not for the manifest before it. Without it all is read
/// as well, and later: a pack of which it can't be found out is tried again after an hour.
struct RecordPlacesWriter: Sendable {
    let catalog: Catalog
    let library: PackLibrary
    let logger: Logger

    private static let interval = Duration.seconds(5)
    /// Between packs when there are more: an archive that is upgraded has many.
    private static let pause = Duration.milliseconds(200)
    /// When a store could not be asked: others of its packs could not be read either.
    private static let rest = Duration.seconds(60)

    /// Writes until it is cancelled by graceful shutdown.
    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let wait = await writeOne()
                // Cancellation ends the wait, and with it the loop.
                try? await Task.sleep(for: wait)
            }
        }
    }

    /// How long to wait before the next.
    private func writeOne() async -> Duration {
        do throws(CatalogError) {
            guard let (pack, records) = try await catalog.packsWithoutPlaces(limit: 1).first else {
                return Self.interval
            }
            let places: ByteBuffer
            do throws(ColdStoreError) {
                places = try await library.places(of: records, in: pack)
            } catch {
                // The next pack may be at hand.
                if error.code == .offline { return Self.pause }
                guard error.code == .damaged || error.code == .notFound else {
                    logger.debug("a pack's manifest can't be read now", metadata: ["error": "\(error)"])
                    return Self.rest
                }
                // Reported there, and read whole.
                await library.failed(pack, error)
                return Self.pause
            }
            try await catalog.enterPlaces(places, of: pack)
            return Self.pause
        } catch {
            logger.debug("places of records are not written down yet", metadata: ["error": "\(error)"])
            return Self.interval
        }
    }
}
