// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOConcurrencyHelpers
import Placement
import ServiceLifecycle

/// Compares one placement group after another with the catalog, slowly and for ever.
///
/// Every ingest node does so, beginning anywhere: what one of them does twice changes nothing.
final class CatalogSweep: Sendable {
    private let comparison: CatalogComparison
    private let health: CatalogHealth
    private let pause: Duration
    private let logger: Logger
    private let state = NIOLockedValueBox((adopted: 0, missing: 0))

    /// `period`: how long all groups together take.
    init(comparison: CatalogComparison, health: CatalogHealth, period: Duration, logger: Logger) {
        self.comparison = comparison
        self.health = health
        self.pause = period / PlacementGroup.count
        self.logger = logger
    }

    /// Records entered since the start.
    var adoptedCount: Int { state.withLockedValue { $0.adopted } }
    /// Rows found without a record since the start.
    var missingCount: Int { state.withLockedValue { $0.missing } }

    /// Works until graceful shutdown or cancellation.
    func run() async {
        await cancelWhenGracefulShutdown {
            var number = UInt16.random(in: 0..<UInt16(PlacementGroup.count))
            while !Task.isCancelled {
                // Cancellation ends the wait, and with it the loop.
                try? await Task.sleep(for: self.pause)
                guard !Task.isCancelled, !self.health.isAway, let group = PlacementGroup(rawValue: number) else {
                    continue
                }
                await self.compare(group)
                number = (number + 1) % UInt16(PlacementGroup.count)
            }
        }
    }

    private func compare(_ group: PlacementGroup) async {
        do throws(RetrieveFailure) {
            let report = try await comparison.compare(group, adopts: true)
            let missing = report.findings.filter { $0.kind == .missing }
            state.withLockedValue { state in
                state.adopted += report.adopted
                state.missing += missing.count
            }
            for finding in missing {
                logger.error(
                    "the catalog names a record that no node has",
                    metadata: ["record": "\(finding.record)"]
                )
                logger.debug(
                    "it is this instance",
                    metadata: ["record": "\(finding.record)", "instance": "\(finding.sopInstanceUID)"]
                )
            }
        } catch {
            logger.info("a group cannot be compared with the catalog now", error: error)
        }
    }
}
