// SPDX-License-Identifier: Apache-2.0

import Telemetry

/// What the store path counts.
struct StoreMetrics: Sendable {
    private let storedCount: Counter
    private let duplicateCount: Counter
    private let refusedCount: Counter
    private let unavailableCount: Counter
    private let latency: DurationHistogram

    init(_ registry: MetricsRegistry) {
        func counter(_ outcome: String) -> Counter {
            registry.counter(
                "varve_ingest_instances_total",
                help: "Instances received, by what became of them.",
                labels: "outcome=\"\(outcome)\""
            )
        }
        self.storedCount = counter("stored")
        self.duplicateCount = counter("duplicate")
        self.refusedCount = counter("refused")
        self.unavailableCount = counter("unavailable")
        self.latency = registry.histogram(
            "varve_ingest_store_seconds",
            help: "From the last byte of a data set to success."
        )
    }

    func stored(_ outcome: StorePipeline.Outcome, after duration: Duration) {
        switch outcome {
        case .stored, .storedWithWarning: storedCount.add()
        case .duplicate: duplicateCount.add()
        }
        latency.record(duration)
    }

    func failed(_ kind: StoreFailure.Kind) {
        switch kind {
        case .malformed, .mismatch, .conflict, .deleted: refusedCount.add()
        case .unavailable, .processing: unavailableCount.add()
        }
    }
}
