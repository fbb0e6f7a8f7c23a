// SPDX-License-Identifier: Apache-2.0

import Catalog
import NIOConcurrencyHelpers
import ServiceLifecycle
import Telemetry

/// How many rejection notes there are in each state, as the catalog has them: the same from every ingest node.
///
/// ``run()`` reads them from time to time; while the catalog is away the last ones stay.
final class RejectionMetrics: Sendable {
    private static let interval = Duration.seconds(30)
    private static let names: [(RejectionNote.State, String)] = [
        (.unread, "unread"), (.unapproved, "unapproved"), (.wanted, "wanted"), (.inForce, "in_force"),
        (.dismissed, "dismissed"), (.unreadable, "unreadable"),
    ]

    private let catalog: Catalog
    private let state = NIOLockedValueBox<[RejectionNote.State: Int]>([:])

    init(catalog: Catalog, registry: MetricsRegistry) {
        self.catalog = catalog
        let state = state
        registry.collection("varve_rejection_notes", help: "Rejection notes (IHE IOCM) by what became of them.") {
            let counts = state.withLockedValue { $0 }
            return Self.names.map { ("state=\"\($0.1)\"", Double(counts[$0.0] ?? 0)) }
        }
    }

    /// Reads until graceful shutdown or cancellation.
    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                // `varve_catalog_up` says when it can't be asked.
                if let counts = try? await self.catalog.rejectionNoteCounts() {
                    self.state.withLockedValue { $0 = counts }
                }
                // Cancellation ends the wait, and with it the loop.
                try? await Task.sleep(for: Self.interval)
            }
        }
    }
}
