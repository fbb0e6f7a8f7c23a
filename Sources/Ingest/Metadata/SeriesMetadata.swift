// SPDX-License-Identifier: Apache-2.0

package import DICOMWeb
package import Logging
import NIOCore
import ServiceLifecycle

/// The metadata of whole series: made when a series goes quiet, or when somebody asks first, and kept.
package final class SeriesMetadata: Sendable {
    /// Series of fewer instances are read from the nodes each time: that is as quick.
    package static let minimumInstanceCount = 16
    /// Series whose metadata are gathered at once, each up to the longest that are kept; others are not kept this time.
    private static let recordingCount = 4
    /// Headers that are read from the nodes at once: nobody waits for this.
    private static let window = 4
    private static let interval = Duration.seconds(5)

    private let retrieve: RetrieveService
    private let cache: SeriesMetadataCache
    package let arrivals: SeriesArrivals
    private let version: String
    /// Not the budget of retrieval: whoever holds a part of that must not wait for more of it.
    private let places = Budget(limit: recordingCount)
    private let logger: Logger

    package init(
        retrieve: RetrieveService,
        cache: SeriesMetadataCache,
        arrivals: SeriesArrivals,
        version: String,
        logger: Logger
    ) {
        self.retrieve = retrieve
        self.cache = cache
        self.arrivals = arrivals
        self.version = version
        self.logger = logger
    }

    /// Makes and keeps the metadata of series that go quiet, until graceful shutdown or cancellation.
    package func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                // Cancellation ends the wait, and with it the loop.
                try? await Task.sleep(for: Self.interval)
                for series in self.arrivals.takeQuiet() where !Task.isCancelled { await self.make(series) }
            }
        }
    }

    /// Makes and keeps the metadata of a series unless they are there.
    package func make(_ series: DICOMWebItem) async {
        guard cache.keepsAny else { return }
        do {
            let instances = try await retrieve.directory.instances(of: series)
            guard instances.count >= Self.minimumInstanceCount else { return }
            let key = SeriesKey(instances, version: version)
            guard cache.byteCount(of: key) == nil, var recording = begin(key) else { return }
            let reader = HeaderReader(records: retrieve.records)
            try await OrderedPrefetch.forEach(
                instances,
                window: Self.window,
                budget: retrieve.memory,
                cost: { min($0.storedByteCount, 64 << 10) },
                make: { try await InstanceModel.json(of: $0, reader, key.root) },
                consume: { recording.add($0) }
            )
            await keep(recording)
        } catch {
            // It is made when somebody asks.
            logger.debug("metadata of a quiet series were not made", metadata: ["reason": "\(error)"])
        }
    }

    /// How the metadata of `instances` are answered: from what is kept, by what is to be kept, or neither.
    func plan(for item: DICOMWebItem, _ instances: [StoredInstance]) -> Plan {
        guard cache.keepsAny, let series = item.series, item.instance == nil,
            instances.count >= Self.minimumInstanceCount
        else { return .none }
        let key = SeriesKey(instances, version: version)
        if let byteCount = cache.byteCount(of: key) { return .kept(key, byteCount: byteCount) }
        // What is still growing is not worth a file.
        guard arrivals.isQuiet(study: item.study, series: series), let recording = begin(key) else { return .none }
        return .record(recording)
    }

    /// Nil when enough are gathered at the moment.
    private func begin(_ key: SeriesKey) -> Recording? {
        BudgetLease.tryAcquire(1, of: places).map { Recording(key, place: $0) }
    }

    func kept(_ key: SeriesKey) async -> ByteBuffer? { await cache.json(key) }

    func keep(_ recording: Recording) async {
        if let json = recording.finish() { await cache.keep(json, recording.key) }
    }

    enum Plan: Sendable {
        case none
        case kept(SeriesKey, byteCount: Int)
        case record(Recording)
    }

    /// Metadata being gathered to be kept.
    struct Recording: Sendable {
        let key: SeriesKey
        private var json = ByteBuffer(string: "[")
        private var count = 0
        private var isTooLong = false
        /// Given back when the last copy of this goes.
        private let place: BudgetLease

        init(_ key: SeriesKey, place: BudgetLease) {
            self.key = key
            self.place = place
        }

        /// Adds the model of the next instance, which has the key's root in its URLs.
        mutating func add(_ model: ByteBuffer) {
            guard !isTooLong else { return }
            if count > 0 { json.writeString(",") }
            count += 1
            json.writeImmutableBuffer(model)
            if json.readableBytes > SeriesMetadataCache.maximumByteCount {
                isTooLong = true
                json = ByteBuffer()
            }
        }

        /// The whole array; nil when it is too long to be kept.
        func finish() -> ByteBuffer? {
            guard !isTooLong else { return nil }
            var json = json
            json.writeString("]")
            return json
        }
    }
}
