// SPDX-License-Identifier: Apache-2.0

import Catalog
import ColdStore
import Logging
import Telemetry

/// What an ingest node has for studies in cold packs: the library that reads them, and what goes on behind it.
struct ColdParts: Sendable {
    let library: PackLibrary
    private let stores: ColdStores
    private let keeper: ColdStoreKeeper
    private let placesWriter: RecordPlacesWriter
    private let recallBehindReads: RecallBehindReads

    init(_ configuration: IngestConfiguration, catalog: Catalog, metrics: MetricsRegistry, logger: Logger) {
        let stores = ColdStores(cluster: configuration.cluster, allowed: configuration.coldStores)
        let notes = ColdReadNotes()
        let library = PackLibrary(
            directory: CatalogPacks(catalog: catalog),
            stores: stores,
            notes: notes,
            logger: logger
        )
        metrics.gauge(
            "varve_pack_reads",
            help: "Reads served from cold packs, because no storage node could give the record, since the start."
        ) { Double(library.readCount) }
        self.stores = stores
        self.library = library
        self.keeper = ColdStoreKeeper(catalog: catalog, stores: stores, logger: logger)
        self.placesWriter = RecordPlacesWriter(catalog: catalog, library: library, logger: logger)
        self.recallBehindReads = RecallBehindReads(notes: notes, catalog: catalog, logger: logger)
    }

    /// Runs what goes on behind reads, until graceful shutdown.
    func run() async {
        async let keeping: Void = keeper.run()
        async let writing: Void = placesWriter.run()
        async let recalling: Void = recallBehindReads.run()
        _ = await (keeping, writing, recalling)
    }

    func shutdown() async { await stores.shutdown() }
}
