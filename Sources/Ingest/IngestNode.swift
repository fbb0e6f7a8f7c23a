// SPDX-License-Identifier: Apache-2.0

import Catalog
import ClusterClient
import DICOMNetworking
import DICOMWeb
import DIMSE
import Glibc
import Hummingbird
public import Logging
import NIOCore
import NIOPosix
import PixelCodecs
import Placement
import ReplicationProtocol
import ReplicationTransport
public import ServiceLifecycle
import Telemetry

/// The role that speaks DICOM to the outside, DIMSE and DICOMweb, storing and retrieving.
///
/// Owns the object graph of an ingest node: catalog connections, connections to the storage nodes, codec threads,
/// the two servers. Holds no data of record. Runs until graceful shutdown, then stops accepting, lets requests end,
/// and closes everything in the opposite order of its making.
public struct IngestNode: Service {
    private let configuration: IngestConfiguration
    private let version: String
    private let logger: Logger

    public init(configuration: IngestConfiguration, version: String, logger: Logger) {
        self.configuration = configuration
        self.version = version
        self.logger = logger
    }

    public func run() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let aeTitle = try AETitle(configuration.aeTitle)
        try makeSpoolDirectory()
        let catalog = try Catalog(
            configuration: .init(
                connectionString: configuration.catalog,
                poolSize: configuration.catalogConnections,
                // Then an instance is noted in the journal.
                commitTimeout: .seconds(4),
                applicationName: "varve \(configuration.name)"
            ),
            logger: logger
        )
        let cluster = ClusterClient(
            configuration: clusterConfiguration,
            identity: identity,
            group: group,
            logger: logger
        )
        let cores = max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
        let codecs = CodecPool(
            threadCount: configuration.codecThreads > 0 ? configuration.codecThreads : cores,
            // A few frames of each association are in work at once, and reads come on top.
            queueLimit: 16 * configuration.maximumAssociations
        )
        let spoolThreads = NIOThreadPool(numberOfThreads: 2)
        spoolThreads.start()

        let metrics = MetricsRegistry()
        let cold = ColdParts(configuration, catalog: catalog, metrics: metrics, logger: logger)
        let outage = try OutageParts(
            configuration,
            catalog: catalog,
            cluster: cluster,
            packs: cold.library,
            codecs: codecs,
            threads: spoolThreads,
            logger: logger
        )
        outage.addMetrics(to: metrics)
        metrics.gauge(
            "varve_hedged_reads",
            help: "Reads for which a second copy was asked because the first was slow, since the start."
        ) { Double(cluster.hedgedReadCount) }
        metrics.gauge(
            "varve_local_reads",
            help: "Reads that were served from the files of storage nodes on the same host, since the start."
        ) { Double(cluster.localReadCount) }
        let watch = WatchParts(configuration, catalog: catalog, metrics: metrics, group: group, logger: logger)
        let seriesMetadata = makeSeriesMetadata(outage.retrieve, threads: spoolThreads, metrics: metrics)
        let accessNotes = AccessNotes()
        let pipeline = StorePipeline(
            catalog: catalog,
            registrar: outage.registrar,
            cluster: cluster,
            codecs: codecs,
            codecClass: configuration.codec,
            spoolThreads: spoolThreads,
            spoolDirectory: configuration.spoolDirectory,
            validation: configuration.validation,
            quarantine: Quarantine(
                directory: configuration.quarantineDirectory ?? configuration.spoolDirectory + "/../quarantine"
            ),
            arrivals: seriesMetadata.arrivals,
            watch: watch?.intake,
            logger: logger
        )
        let follower = MapFollower(
            catalog: catalog,
            cluster: cluster,
            health: outage.health,
            cache: outage.mapCache,
            threads: spoolThreads,
            logger: logger
        )
        let destinations = try MoveDestination.byTitle(configuration.destinations)
        let commitments = CommitmentParts(
            configuration,
            catalog: catalog,
            cluster: cluster,
            packs: cold.library,
            destinations: destinations,
            incarnation: identity.nodeID,
            metrics: metrics,
            group: group,
            logger: logger
        )
        let repairMetrics = RepairMetrics(catalog: catalog, copies: configuration.copies, registry: metrics)
        let clusterMetrics = ClusterMetrics(catalog: catalog, cluster: cluster, registry: metrics)
        let tierMetrics = TierMetrics(catalog: catalog, registry: metrics)
        let lifecycle = LifecycleService(catalog: catalog, logger: logger)
        let lifecycleMetrics = LifecycleMetrics(service: lifecycle, registry: metrics)
        let rejectionMetrics = RejectionMetrics(catalog: catalog, registry: metrics)
        let rejections = RejectionWorker(
            catalog: catalog,
            records: outage.retrieve.records,
            policy: RejectionPolicy(
                senders: Set(configuration.rejectionSenders),
                actsOnHTTP: configuration.rejectionsOverHTTP,
                keepsQuality: configuration.keepsRejectedForQuality
            ),
            logger: logger
        )
        let admin = AdminService(
            configuration: configuration,
            version: version,
            catalog: catalog,
            cluster: cluster,
            comparison: outage.comparison,
            verification: ArchiveVerification(
                catalog: catalog,
                cluster: cluster,
                comparison: outage.comparison,
                wantedCopies: configuration.copies
            ),
            trash: TrashService(catalog: catalog, journal: outage.journal, logger: logger),
            lifecycle: lifecycle,
            metrics: metrics,
            logger: logger
        )
        let dicom = DICOMServer(
            configuration: serverConfiguration(aeTitle: aeTitle),
            service: makeService(
                StoreService(
                    pipeline: pipeline,
                    aeTitle: aeTitle,
                    metrics: StoreMetrics(metrics),
                    logger: logger
                ),
                aeTitle: aeTitle,
                catalog: catalog,
                outage: outage,
                accessNotes: accessNotes,
                destinations: destinations,
                commitment: commitments.service,
                metrics: metrics,
                group: group
            ),
            group: group,
            logger: logger
        )
        let http = makeHTTPServer(
            admin: admin,
            retrieve: outage.retrieve,
            seriesMetadata: seriesMetadata,
            pipeline: pipeline,
            accessNotes: accessNotes,
            watch: watch?.client,
            group: group
        )
        let accessWriter = AccessWriter(notes: accessNotes, catalog: catalog, logger: logger)

        let port = try await dicom.start()
        logger.info("accepting associations", metadata: ["port": "\(port)", "ae": "\(aeTitle)"])
        let failure: (any Error)?
        do {
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask { await follower.run() }
                tasks.addTask { await outage.drain.run() }
                tasks.addTask { await commitments.worker.run() }
                tasks.addTask { await seriesMetadata.run() }
                tasks.addTask { await repairMetrics.run() }
                tasks.addTask { await clusterMetrics.run() }
                tasks.addTask { await tierMetrics.run() }
                tasks.addTask { await lifecycleMetrics.run() }
                tasks.addTask { await accessWriter.run() }
                tasks.addTask { await cold.run() }
                tasks.addTask { await rejections.run() }
                tasks.addTask { await rejectionMetrics.run() }
                if let watch { tasks.addTask { await watch.worker.run() } }
                if let sweep = outage.sweep { tasks.addTask { await sweep.run() } }
                tasks.addTask {
                    try await withTaskExecutorPreference(CallingLoopExecutor()) {
                        try await http.runService(gracefulShutdownSignals: [])
                    }
                }
                // All end at graceful shutdown. An HTTP server that fails ends the role: `next` says so at once, where
                // `waitForAll` would wait for the others first, which never end by themselves.
                while try await tasks.next() != nil {}
            }
            failure = nil
        } catch {
            failure = error
        }
        logger.info("stopping: no new associations, running requests may end")
        await dicom.shutdown(gracePeriod: .seconds(8))
        await cluster.shutdown()
        await cold.shutdown()
        codecs.shutdown()
        await catalog.shutdown()
        try await spoolThreads.shutdownGracefully()
        if let failure { throw failure }
    }

    private var identity: HelloIdentity {
        var generator = SystemRandomNumberGenerator()
        return HelloIdentity(
            clusterID: configuration.cluster,
            nodeID: NodeID(high: generator.next(), low: generator.next()),
            incarnation: UInt64(Timestamp.now().milliseconds),
            role: .ingest,
            domain: FailureDomain(host: configuration.name),
            software: "varve \(version)"
        )
    }

    private var clusterConfiguration: ClusterClient.Configuration {
        var cluster = ClusterClient.Configuration(
            copies: configuration.copies,
            acknowledgements: configuration.acknowledgements
        )
        cluster.acknowledgementSpread = .seconds(Int64(configuration.acknowledgementSpreadSeconds))
        cluster.socketDirectory = configuration.socketDirectory
        cluster.connections.tls = configuration.tls
        return cluster
    }

    private func serverConfiguration(aeTitle: AETitle) -> DICOMServerConfiguration {
        var server = DICOMServerConfiguration(aeTitle: aeTitle)
        server.host = configuration.dicomHost
        server.port = configuration.dicomPort
        server.maximumAssociations = configuration.maximumAssociations
        server.maximumInMemoryDataSetByteCount = configuration.maximumInMemoryDataSetByteCount
        server.spoolDirectory = configuration.spoolDirectory
        server.queryRetrieveSOPClasses = ArchiveService.queryRetrieveSOPClasses
        server.actionSOPClasses = [StorageCommitment.sopClassUID]
        return server
    }

    private func makeService(
        _ storage: StoreService,
        aeTitle: AETitle,
        catalog: Catalog,
        outage: OutageParts,
        accessNotes: AccessNotes,
        destinations: [AETitle: MoveDestination],
        commitment: CommitmentService,
        metrics: MetricsRegistry,
        group: any EventLoopGroup
    ) -> ArchiveService {
        let source = CatalogDirectory(catalog: catalog)
        let selection = InstanceSelection(directory: outage.instances, source: source, accessNotes: accessNotes)
        return ArchiveService(
            storage: storage,
            find: FindService(
                source: source,
                objects: ObjectSearch(source: source, directory: outage.instances, records: outage.retrieve.records),
                aeTitle: aeTitle.value,
                logger: logger
            ),
            get: GetService(selection: selection, retrieve: outage.retrieve, logger: logger),
            move: MoveService(
                destinations: destinations,
                aeTitle: aeTitle,
                selection: selection,
                retrieve: outage.retrieve,
                group: group,
                associationCount: configuration.moveAssociations,
                logger: logger
            ),
            commitment: commitment,
            metrics: QueryRetrieveMetrics(metrics)
        )
    }

    private func makeSeriesMetadata(
        _ retrieve: RetrieveService,
        threads: NIOThreadPool,
        metrics: MetricsRegistry
    ) -> SeriesMetadata {
        let cache = SeriesMetadataCache(
            directory: configuration.metadataDirectory ?? configuration.spoolDirectory + "/../metadata",
            byteLimit: configuration.metadataByteCount,
            threads: threads,
            logger: logger
        )
        metrics.gauge("varve_metadata_cache_bytes", help: "Metadata of whole series that are kept, in bytes.") {
            Double(cache.byteCount)
        }
        return SeriesMetadata(
            retrieve: retrieve,
            cache: cache,
            arrivals: SeriesArrivals(),
            version: version,
            logger: logger
        )
    }

    private func makeHTTPServer(
        admin: AdminService,
        retrieve: RetrieveService,
        seriesMetadata: SeriesMetadata,
        pipeline: StorePipeline,
        accessNotes: AccessNotes,
        watch: WatchClient?,
        group: any EventLoopGroup
    ) -> some ApplicationProtocol {
        let router = Router(context: IngestRequestContext.self)
        router.add(middleware: LoopLeavingMiddleware())
        addAdminRoutes(to: router, service: admin)
        let web = DICOMWebService(
            retrieve: retrieve,
            seriesMetadata: seriesMetadata,
            receiver: PipelineReceiver(
                pipeline: pipeline,
                aeTitle: configuration.aeTitle,
                maximumInMemoryByteCount: configuration.maximumInMemoryDataSetByteCount
            ),
            deleter: configuration.httpDelete == .trash ? admin.trash : nil,
            accessNotes: accessNotes,
            crossOrigin: CrossOriginPolicy(origins: configuration.corsOrigins),
            version: version,
            logger: logger
        )
        addDICOMWebRoutes(to: router, service: web)
        return Application(
            router: router,
            server: .http1FramingHeads,
            configuration: .init(
                address: .hostname(configuration.httpHost, port: configuration.httpPort),
                serverName: "varve"
            ),
            onServerRunning: { [host = configuration.httpHost] channel in
                guard let port = channel.localAddress?.port else { return }
                watch?.listens(at: WatchServer(listeningAt: host, port: port))
            },
            eventLoopGroupProvider: .shared(group),
            logger: logger
        )
    }

    /// Makes the spool directory and all above it.
    private func makeSpoolDirectory() throws(IngestError) {
        var path = ""
        for part in configuration.spoolDirectory.split(separator: "/", omittingEmptySubsequences: false) {
            path += path.isEmpty && part.isEmpty ? "/" : "\(part)/"
            guard mkdir(path, 0o700) == 0 || errno == EEXIST || errno == EISDIR else {
                throw IngestError(
                    "cannot make the spool directory \(configuration.spoolDirectory): \(String(cString: strerror(errno)))"
                )
            }
        }
    }
}

/// Why an ingest node cannot start: what, where, and what to do about it.
public struct IngestError: Error, CustomStringConvertible {
    public let description: String

    init(_ description: String) {
        self.description = description
    }
}
