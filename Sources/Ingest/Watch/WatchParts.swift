// SPDX-License-Identifier: Apache-2.0

import Catalog
import Logging
import NIOCore
import Telemetry

/// The watcher of an ingest node: who takes the samples, and who looks at them.
struct WatchParts {
    let intake: WatchIntake
    let client: WatchClient
    let worker: WatchWorker

    /// Nil when the configuration wants none.
    init?(
        _ configuration: IngestConfiguration,
        catalog: Catalog,
        metrics: MetricsRegistry,
        group: any EventLoopGroup,
        logger: Logger
    ) {
        let settings = configuration.watch
        guard settings.sampleOneOf > 0 else { return nil }
        let schedule = WatchSchedule(
            agesInSeconds: settings.agesInSeconds,
            patience: .seconds(settings.patienceSeconds)
        )
        intake = WatchIntake(WatchSampler(oneOf: settings.sampleOneOf, limitPerMinute: settings.limitPerMinute))
        client = WatchClient(group: group, servers: settings.servers)
        worker = WatchWorker(
            ledger: catalog,
            fetcher: client,
            intake: intake,
            schedule: schedule,
            name: configuration.name,
            sampleLimit: settings.sampleLimit,
            metrics: WatchMetrics(metrics, schedule: schedule),
            logger: logger
        )
    }
}

/// Which accepted instances are fetched again, and when.
public struct WatchConfiguration: Sendable {
    /// One of so many accepted instances; 0: none, and this ingest node fetches nothing.
    public var sampleOneOf = 100
    /// At most so many a minute are taken here: their later looks have to be done in the same time.
    public var limitPerMinute = 10
    /// Samples of the whole cluster at once; beyond that no new ones are taken.
    public var sampleLimit = 200_000
    /// Ages at which each is fetched.
    public var agesInSeconds = WatchSchedule.standardAges
    /// How long a failure that may pass is tried again before it is an alarm.
    public var patienceSeconds = 600
    /// Where they are fetched from, each time from another; empty: from this ingest node itself.
    public var servers: [WatchServer] = []

    public init() {}
}
