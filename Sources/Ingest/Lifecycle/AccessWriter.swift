// SPDX-License-Identifier: Apache-2.0

import Catalog
import Logging
import ServiceLifecycle

/// Writes down every minute, and at the end, which studies were read.
struct AccessWriter: Sendable {
    let notes: AccessNotes
    let catalog: Catalog
    let logger: Logger

    private static let interval = Duration.seconds(60)

    /// Writes until it is cancelled by graceful shutdown.
    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                // Cancelled: the rest is written by `finish`.
                try? await Task.sleep(for: Self.interval)
                if !Task.isCancelled { await write() }
            }
        }
        await write()
    }

    private func write() async {
        let taken = notes.take()
        guard !taken.isEmpty else { return }
        do throws(CatalogError) {
            try await catalog.noteAccess(taken)
        } catch {
            notes.putBack(taken)
            logger.debug("who read which study is not written down yet", metadata: ["error": "\(error)"])
        }
    }
}
