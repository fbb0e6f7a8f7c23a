// SPDX-License-Identifier: Apache-2.0

package import Telemetry

/// What storage commitment counts.
package struct CommitmentMetrics: Sendable {
    private let committed: Counter
    private let failed: Counter
    private let undelivered: Counter
    private let abandoned: Counter

    package init(_ registry: MetricsRegistry) {
        func instances(_ outcome: String) -> Counter {
            registry.counter(
                "varve_commitment_instances_total",
                help: "Instances that storage commitment was reported for, by what was said.",
                labels: "outcome=\"\(outcome)\""
            )
        }
        func failures(_ outcome: String) -> Counter {
            registry.counter(
                "varve_commitment_report_failures_total",
                help: "Reports of storage commitment that did not arrive, by what is done.",
                labels: "outcome=\"\(outcome)\""
            )
        }
        committed = instances("committed")
        failed = instances("failed")
        undelivered = failures("tried_again")
        abandoned = failures("given_up")
    }

    func reported(committed committedCount: Int, failed failedCount: Int) {
        committed.add(committedCount)
        failed.add(failedCount)
    }

    func failedReport() { undelivered.add() }

    func givenUp() { abandoned.add() }
}
