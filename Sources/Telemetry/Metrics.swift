// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import Synchronization

/// A number that only rises: events since the process started.
public final class Counter: Sendable {
    private let count = Atomic<Int>(0)

    /// Adds `amount` (not negative).
    public func add(_ amount: Int = 1) {
        count.wrappingAdd(amount, ordering: .relaxed)
    }

    /// Events so far.
    public var value: Int { count.load(ordering: .relaxed) }
}

/// How long something took: counts in fixed buckets, with total and sum.
public final class DurationHistogram: Sendable {
    /// Upper bounds of the buckets in microseconds, from 1 ms to 10 s.
    static let bounds = [1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 10_000_000]

    private struct State {
        var buckets = [Int](repeating: 0, count: DurationHistogram.bounds.count + 1)
        var sumMicroseconds = 0
    }

    private let state = NIOLockedValueBox(State())

    /// Records one duration.
    public func record(_ duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let microseconds = Int(seconds) * 1_000_000 + Int(attoseconds / 1_000_000_000_000)
        let bucket = Self.bounds.firstIndex { microseconds <= $0 } ?? Self.bounds.count
        state.withLockedValue { state in
            state.buckets[bucket] += 1
            state.sumMicroseconds += microseconds
        }
    }

    /// Cumulative counts by bound, the number of observations, and their sum.
    func snapshot() -> (buckets: [Int], sumMicroseconds: Int) {
        state.withLockedValue { ($0.buckets, $0.sumMicroseconds) }
    }
}

/// The metrics of one process, written in Prometheus' text format (version 0.0.4).
public final class MetricsRegistry: Sendable {
    fileprivate enum Metric {
        case counter(Counter)
        case histogram(DurationHistogram)
        case gauge(@Sendable () -> Double)
        case collection(isCounter: Bool, @Sendable () -> [(labels: String, value: Double)])
    }

    private struct Entry {
        let name: String
        let help: String
        let labels: String
        let metric: Metric
    }

    private let entries = NIOLockedValueBox<[Entry]>([])

    public init() {}

    /// Registers a counter; `labels` is written as it is, for example `outcome="stored"`.
    public func counter(_ name: String, help: String, labels: String = "") -> Counter {
        let counter = Counter()
        add(Entry(name: name, help: help, labels: labels, metric: .counter(counter)))
        return counter
    }

    /// Registers a histogram of durations; `name` ends in `_seconds`.
    public func histogram(_ name: String, help: String) -> DurationHistogram {
        let histogram = DurationHistogram()
        add(Entry(name: name, help: help, labels: "", metric: .histogram(histogram)))
        return histogram
    }

    /// Registers a value that is read when the metrics are.
    public func gauge(_ name: String, help: String, labels: String = "", value: @escaping @Sendable () -> Double) {
        add(Entry(name: name, help: help, labels: labels, metric: .gauge(value)))
    }

    /// Registers values that are read when the metrics are, each with its labels, which are written as they are.
    public func collection(
        _ name: String,
        help: String,
        isCounter: Bool = false,
        values: @escaping @Sendable () -> [(labels: String, value: Double)]
    ) {
        add(Entry(name: name, help: help, labels: "", metric: .collection(isCounter: isCounter, values)))
    }

    private func add(_ entry: Entry) {
        entries.withLockedValue { $0.append(entry) }
    }

    /// All metrics as Prometheus reads them.
    public func text() -> String {
        var text = ""
        var described: Set<String> = []
        for entry in entries.withLockedValue({ $0 }) {
            if described.insert(entry.name).inserted {
                text += "# HELP \(entry.name) \(entry.help)\n# TYPE \(entry.name) \(entry.metric.typeName)\n"
            }
            let labels = entry.labels.isEmpty ? "" : "{\(entry.labels)}"
            switch entry.metric {
            case .counter(let counter): text += "\(entry.name)\(labels) \(counter.value)\n"
            case .gauge(let value): text += "\(entry.name)\(labels) \(value())\n"
            case .collection(_, let values):
                for (labels, value) in values() {
                    text += labels.isEmpty ? "\(entry.name) \(value)\n" : "\(entry.name){\(labels)} \(value)\n"
                }
            case .histogram(let histogram): text += Self.text(of: histogram, name: entry.name)
            }
        }
        return text
    }

    private static func text(of histogram: DurationHistogram, name: String) -> String {
        let (buckets, sum) = histogram.snapshot()
        var text = ""
        var cumulative = 0
        for (index, bound) in DurationHistogram.bounds.enumerated() {
            cumulative += buckets[index]
            text += "\(name)_bucket{le=\"\(Double(bound) / 1_000_000)\"} \(cumulative)\n"
        }
        cumulative += buckets[DurationHistogram.bounds.count]
        text += "\(name)_bucket{le=\"+Inf\"} \(cumulative)\n"
        return text + "\(name)_sum \(Double(sum) / 1_000_000)\n\(name)_count \(cumulative)\n"
    }
}

extension MetricsRegistry.Metric {
    fileprivate var typeName: String {
        switch self {
        case .counter: "counter"
        case .gauge: "gauge"
        case .collection(let isCounter, _): isCounter ? "counter" : "gauge"
        case .histogram: "histogram"
        }
    }
}
