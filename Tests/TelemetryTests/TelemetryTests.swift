// SPDX-License-Identifier: Apache-2.0

import Telemetry
import Testing

@Suite struct TelemetryTests {
    @Test func `times are written as RFC 3339 in UTC`() {
        #expect(Timestamp(milliseconds: 0).text == "1970-01-01T00:00:00.000Z")
        #expect(Timestamp(milliseconds: 1_709_164_800_007).text == "2024-02-29T00:00:00.007Z")
        #expect(Timestamp(milliseconds: -1).text == "1969-12-31T23:59:59.999Z")
    }

    @Test func `metrics are written in Prometheus' text format`() {
        let registry = MetricsRegistry()
        let stored = registry.counter("varve_ingest_instances_total", help: "Instances.", labels: #"outcome="stored""#)
        _ = registry.counter("varve_ingest_instances_total", help: "Instances.", labels: #"outcome="refused""#)
        let latency = registry.histogram("varve_ingest_store_seconds", help: "Time to success.")
        registry.gauge("varve_ingest_map_epoch", help: "Epoch of the map.") { 7 }
        stored.add(2)
        latency.record(.milliseconds(3))
        latency.record(.seconds(20))
        let lines = registry.text().split(separator: "\n").map(String.init)
        #expect(lines.count { $0 == "# TYPE varve_ingest_instances_total counter" } == 1)
        #expect(lines.contains(#"varve_ingest_instances_total{outcome="stored"} 2"#))
        #expect(lines.contains(#"varve_ingest_instances_total{outcome="refused"} 0"#))
        #expect(lines.contains(#"varve_ingest_store_seconds_bucket{le="0.002"} 0"#))
        #expect(lines.contains(#"varve_ingest_store_seconds_bucket{le="0.005"} 1"#))
        #expect(lines.contains(#"varve_ingest_store_seconds_bucket{le="+Inf"} 2"#))
        #expect(lines.contains("varve_ingest_store_seconds_sum 20.003"))
        #expect(lines.contains("varve_ingest_map_epoch 7.0"))
    }
}
