// SPDX-License-Identifier: Apache-2.0

package import DICOMWeb
import NIOConcurrencyHelpers

/// When this node last stored something of a series: one to which nothing was added for a while has probably all it will get.
package final class SeriesArrivals: Sendable {
    package typealias Instant = ContinuousClock.Instant

    private struct Series: Hashable {
        let study: String
        let series: String
    }

    /// More are not remembered: their metadata are kept when somebody asks for them.
    private static let maximumCount = 10_000

    private let quietAfter: Duration
    private let latest = NIOLockedValueBox<[Series: Instant]>([:])

    package init(quietAfter: Duration = .seconds(60)) { self.quietAfter = quietAfter }

    /// An instance of a series was stored.
    package func stored(study: String, series: String, now: Instant = .now) {
        latest.withLockedValue { latest in
            let key = Series(study: study, series: series)
            guard latest.count < Self.maximumCount || latest[key] != nil else { return }
            latest[key] = now
        }
    }

    /// Whether nothing was added to a series for a while.
    package func isQuiet(study: String, series: String, now: Instant = .now) -> Bool {
        latest.withLockedValue { latest in
            guard let instant = latest[Series(study: study, series: series)] else { return true }
            return now - instant >= quietAfter
        }
    }

    /// The series that have gone quiet since the last call, the longest quiet first.
    package func takeQuiet(now: Instant = .now) -> [DICOMWebItem] {
        latest.withLockedValue { latest in
            let quiet = latest.filter { now - $0.value >= quietAfter }.sorted { $0.value < $1.value }
            for (series, _) in quiet { latest[series] = nil }
            return quiet.map { DICOMWebItem.series(study: $0.key.study, series: $0.key.series) }
        }
    }
}
