// SPDX-License-Identifier: Apache-2.0

import Catalog
import NIOConcurrencyHelpers
import ServiceLifecycle
import Telemetry

/// Metrics of tiers of packs, as the catalog has them: the same from every ingest node.
///
/// ``run()`` reads them from time to time; while the catalog is away the last ones stay.
final class TierMetrics: Sendable {
    private static let interval = Duration.seconds(60)

    private let catalog: Catalog
    private let state = NIOLockedValueBox<[TierTotals]>([])

    init(catalog: Catalog, registry: MetricsRegistry) {
        self.catalog = catalog
        let state = state
        func collect(_ name: String, _ help: String, _ value: @escaping @Sendable (TierTotals) -> Double?) {
            registry.collection(name, help: help) {
                // A tier that was at another place before has a line for each.
                state.withLockedValue { $0 }.compactMap { totals in value(totals).map { (Self.labels(totals), $0) } }
            }
        }
        collect("varve_tier_packs", "Cold packs of a tier that are read from.") { Double($0.packCount) }
        collect("varve_tier_studies", "Studies that have such packs.") { Double($0.studyCount) }
        collect("varve_tier_bytes", "Bytes of such packs.") { Double($0.byteCount) }
        collect(
            "varve_tier_oldest_unverified_seconds",
            "How long ago the pack was read whole that was read longest ago; since 1970 when one is in doubt."
        ) { totals in
            totals.oldestVerifiedAtMilliseconds.map {
                max(0, Double(Timestamp.now().milliseconds - $0) / 1000)
            }
        }
        registry.collection("varve_tier_moves", help: "Studies that are being moved to a tier, and that need a person.")
        {
            state.withLockedValue { $0 }.flatMap { totals in
                [
                    ("\(Self.labels(totals)),state=\"under_way\"", Double(totals.movesUnderWay)),
                    ("\(Self.labels(totals)),state=\"needs_person\"", Double(totals.movesNeedingPerson)),
                ]
            }
        }
    }

    private static func labels(_ totals: TierTotals) -> String {
        "tier=\"\(RepairMetrics.escaped(totals.tier))\",place=\"\(RepairMetrics.escaped(totals.place))\""
    }

    /// Reads until graceful shutdown or cancellation.
    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                // `varve_catalog_up` says when it can't be asked.
                if let totals = try? await self.catalog.tierTotals() { self.state.withLockedValue { $0 = totals } }
                // Cancellation ends the wait, and with it the loop.
                try? await Task.sleep(for: Self.interval)
            }
        }
    }
}
