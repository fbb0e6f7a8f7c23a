// SPDX-License-Identifier: Apache-2.0

import Catalog
import NIOConcurrencyHelpers
import ServiceLifecycle
import Telemetry

/// Metrics of what rules made of the archive and do, as the catalog has them: the same from every ingest node.
///
/// ``run()`` reads them from time to time; while the catalog is away the last ones stay.
final class LifecycleMetrics: Sendable {
    private static let interval = Duration.seconds(60)

    private let service: LifecycleService
    private let state = NIOLockedValueBox<LifecycleStatusReport?>(nil)

    init(service: LifecycleService, registry: MetricsRegistry) {
        self.service = service
        let state = state
        registry.collection("varve_lifecycle_studies", help: "Studies that have a policy.") {
            state.withLockedValue { $0?.policies ?? [] }.map { policy in
                ("policy=\"\(RepairMetrics.escaped(policy.name))\"", Double(policy.studies))
            }
        }
        func collect(_ name: String, _ help: String, _ value: @escaping @Sendable (LifecycleStatusReport) -> Double) {
            registry.collection(name, help: help) {
                state.withLockedValue { $0 }.map { [("", value($0))] } ?? []
            }
        }
        collect("varve_lifecycle_marked_studies", "Studies that are to expire.") { Double($0.marked) }
        collect("varve_lifecycle_due_studies", "Studies that are due to be judged again by the calendar.") {
            Double($0.due)
        }
        collect("varve_lifecycle_changed_studies", "Studies of which something changed that rules decide by.") {
            Double($0.changed)
        }
        collect("varve_lifecycle_expired_today_studies", "Studies that expired today.") { Double($0.expiredToday) }
        collect("varve_lifecycle_acting", "1 when the rules that hold act.") { $0.isActing ? 1 : 0 }
        collect("varve_lifecycle_alarm", "1 when nothing expires until a person has looked.") {
            $0.alarm == nil ? 0 : 1
        }
    }

    /// Reads until graceful shutdown or cancellation.
    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                // `varve_catalog_up` says when it can't be asked.
                if let report = try? await self.service.actsStatus() { self.state.withLockedValue { $0 = report } }
                // Cancellation ends the wait, and with it the loop.
                try? await Task.sleep(for: Self.interval)
            }
        }
    }
}
