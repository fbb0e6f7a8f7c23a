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
    private let recalls = NIOLockedValueBox<RecallTotals?>(nil)

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
        collect(
            "varve_tier_offline_packs",
            "Packs on media that were not at hand when they were looked for last."
        ) { Double($0.offlineCount) }
        Self.registerRecalls(recalls, registry)
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

    private static func registerRecalls(_ recalls: NIOLockedValueBox<RecallTotals?>, _ registry: MetricsRegistry) {
        func collect(
            _ name: String,
            _ help: String,
            _ value: @escaping @Sendable (RecallTotals) -> [(String, Double)]
        ) {
            registry.collection(name, help: help) { recalls.withLockedValue { $0 }.map(value) ?? [] }
        }
        collect(
            "varve_recalls",
            "Recalls of studies from packs that are under way, wait for media, need a person, or are done."
        ) {
            [
                ("state=\"under_way\"", Double($0.underWay)),
                ("state=\"waits_for_media\"", Double($0.waitingForMedia)),
                ("state=\"needs_person\"", Double($0.needingPerson)),
                ("state=\"done\"", Double($0.done)),
            ]
        }
        collect("varve_recalled_instances", "Instances that have come back from packs since the cluster began.") {
            [("", Double($0.instanceCount))]
        }
        collect("varve_recalled_bytes", "Bytes of these.") { [("", Double($0.byteCount))] }
        let oldest = "How long ago the recall was ordered that has waited longest."
        collect("varve_recall_oldest_seconds", oldest) { totals in
            let now = Timestamp.now().milliseconds
            return [("", totals.oldestOpenAtMilliseconds.map { max(0, Double(now - $0) / 1000) } ?? 0)]
        }
        let longest = "The longest time from order to end of those that ended in the last hour."
        collect("varve_recall_longest_seconds", longest) {
            [("", $0.longestSeconds ?? 0)]
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
                if let totals = try? await self.catalog.recallTotals() {
                    self.recalls.withLockedValue { $0 = totals }
                }
                // Cancellation ends the wait, and with it the loop.
                try? await Task.sleep(for: Self.interval)
            }
        }
    }
}
