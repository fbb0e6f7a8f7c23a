// SPDX-License-Identifier: Apache-2.0

import Catalog
import NIOConcurrencyHelpers
package import Telemetry

/// What the watcher counts, and what the catalog has of samples, read from time to time.
package final class WatchMetrics: Sendable {
    private struct State {
        var overview = WatchOverview()
        var lastFailure: Int64?
    }

    private static let results = ["same", "different", "missing", "unreadable", "unreachable", "ended"]

    /// By age (seconds, or `other`) and result.
    private let checks: [String: [String: Counter]]
    private let entered: Counter
    private let lost: Counter
    private let state = NIOLockedValueBox(State())

    package init(_ registry: MetricsRegistry, schedule: WatchSchedule) {
        var checks: [String: [String: Counter]] = [:]
        for age in schedule.agesInSeconds.map({ "\($0)" }) + ["other"] {
            for result in Self.results {
                checks[age, default: [:]][result] = registry.counter(
                    "varve_watch_checks_total",
                    help: "Accepted instances that were fetched again, by age in seconds and by what came of it.",
                    labels: "age=\"\(age)\",result=\"\(result)\""
                )
            }
        }
        self.checks = checks
        func samples(_ outcome: String) -> Counter {
            registry.counter(
                "varve_watch_samples_total",
                help: "Accepted instances that are to be fetched again, by whether there was room for them.",
                labels: "outcome=\"\(outcome)\""
            )
        }
        entered = samples("entered")
        lost = samples("lost")
        let state = state
        registry.gauge("varve_watch_samples", help: "Samples of the whole cluster that wait to be fetched again.") {
            Double(state.withLockedValue { $0.overview.sampleCount })
        }
        registry.gauge("varve_watch_overdue_seconds", help: "For how long the oldest sample has been due.") {
            Double(state.withLockedValue { $0.overview.overdueSeconds })
        }
        registry.gauge(
            "varve_watch_alarms",
            help: "Samples of the whole cluster that do not come back as they were accepted."
        ) { Double(state.withLockedValue { $0.overview.alarmCount }) }
        registry.gauge(
            "varve_watch_last_failure_timestamp_seconds",
            help: "When this ingest node last fetched a sample that did not come back as it was accepted; 0: never."
        ) { Double(state.withLockedValue { $0.lastFailure ?? 0 }) / 1_000 }
    }

    func checked(plannedAge: Int, result: String, at milliseconds: Int64) {
        (checks["\(plannedAge)"] ?? checks["other"])?[result]?.add()
        guard result != "same", result != "ended" else { return }
        state.withLockedValue { $0.lastFailure = milliseconds }
    }

    func sampled(isEntered: Bool) { (isEntered ? entered : lost).add() }

    func found(_ overview: WatchOverview) { state.withLockedValue { $0.overview = overview } }
}
