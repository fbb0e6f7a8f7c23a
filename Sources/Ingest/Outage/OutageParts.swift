// SPDX-License-Identifier: Apache-2.0

import Catalog
import ClusterClient
import Logging
import NIOPosix
import PixelCodecs
import Telemetry

/// What keeps an ingest node working while the catalog is away, and what sets the catalog right afterwards.
struct OutageParts {
    let health = CatalogHealth()
    let journal: CatalogJournal
    let directory: RecordDirectory
    let drain: JournalDrain
    let registrar: Registrar
    /// Looks up in the catalog, or on the nodes.
    let instances: FallbackDirectory
    let retrieve: RetrieveService
    let comparison: CatalogComparison
    /// Nil when the configuration wants none.
    let sweep: CatalogSweep?
    let mapCache: MapCache

    /// `threads` write the journal.
    ///
    /// Blocks.
    init(
        _ configuration: IngestConfiguration,
        catalog: Catalog,
        cluster: ClusterClient,
        packs: PackLibrary,
        codecs: CodecPool,
        threads: NIOThreadPool,
        logger: Logger
    ) throws(StoreFailure) {
        let path = configuration.journalDirectory ?? configuration.spoolDirectory + "/../journal"
        journal = try CatalogJournal(directory: path, threads: threads, logger: logger)
        mapCache = MapCache(path: path + "/placement-map.json")
        directory = RecordDirectory(cluster: cluster)
        drain = JournalDrain(
            journal: journal,
            catalog: catalog,
            health: health,
            directory: directory,
            logger: logger
        )
        registrar = Registrar(
            catalog: catalog,
            health: health,
            journal: journal,
            directory: directory,
            // The members that should hold the group, and the first that stands in for one.
            nearest: configuration.copies + 1,
            logger: logger
        )
        instances = FallbackDirectory(
            catalog: CatalogDirectory(catalog: catalog),
            nodes: directory,
            journal: journal,
            health: health,
            logger: logger
        )
        retrieve = RetrieveService(
            directory: instances,
            records: ColdRecords(hot: ClusterRecords(cluster: cluster), library: packs),
            codecs: codecs,
            logger: logger
        )
        comparison = CatalogComparison(
            catalog: catalog,
            cluster: cluster,
            directory: directory,
            retrieve: retrieve,
            logger: logger
        )
        sweep =
            configuration.catalogSweepHours > 0
            ? CatalogSweep(
                comparison: comparison,
                health: health,
                period: .seconds(Int64(configuration.catalogSweepHours) * 3600),
                logger: logger
            ) : nil
    }

    func addMetrics(to metrics: MetricsRegistry) {
        let (health, journal, drain, sweep) = (health, journal, drain, sweep)
        metrics.gauge("varve_catalog_up", help: "Whether the catalog answers.") { health.isAway ? 0 : 1 }
        metrics.gauge("varve_journal_entries", help: "Stored instances that the catalog has not heard of yet.") {
            Double(journal.count)
        }
        metrics.gauge(
            "varve_journal_refused",
            help: "Instances stored without the catalog that it then refused, since the start."
        ) { Double(drain.refusedCount) }
        guard let sweep else { return }
        metrics.gauge(
            "varve_catalog_adopted_records",
            help: "Records the catalog did not know that were entered, since the start."
        ) { Double(sweep.adoptedCount) }
        metrics.gauge(
            "varve_catalog_missing_records",
            help: "Rows of the catalog found without a record on any node, since the start."
        ) { Double(sweep.missingCount) }
    }
}
