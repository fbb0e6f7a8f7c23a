// SPDX-License-Identifier: Apache-2.0

import ColdStore
import Glibc
import LocalSegments
public import Logging
import NIOCore
import NIOPosix
import Placement
import ReplicationProtocol
import ReplicationTransport
import SegmentStore
public import ServiceLifecycle

/// The role that keeps records on disk and gives them to its peers over VRP.
///
/// Knows nothing of Postgres.
///
/// Runs until graceful shutdown: stops listening, lets requests end, and marks its stores clean.
public struct StorageNode: Service {
    private let configuration: StorageNodeConfiguration
    private let logger: Logger

    public init(configuration: StorageNodeConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    public func run() async throws {
        try makeDataDirectory()
        let identity = try NodeIdentity.load(
            directory: configuration.dataDirectory,
            cluster: configuration.cluster
        )
        var storeConfiguration = SegmentStore.Configuration(
            directory: configuration.dataDirectory,
            clusterID: identity.cluster,
            nodeID: identity.node
        )
        storeConfiguration.segmentByteCount = UInt64(configuration.segmentByteCount)
        storeConfiguration.deletionGrace = .seconds(configuration.deletionGraceSeconds)
        storeConfiguration.trashGrace = .seconds(configuration.trashGraceSeconds)
        storeConfiguration.softLimitFreeBytes = UInt64(configuration.minimumFreeBytes)
        storeConfiguration.scrubDeadline = configuration.scrubSeconds == 0 ? nil : .seconds(configuration.scrubSeconds)
        let store = try NodeStore.open(
            home: configuration.dataDirectory,
            directories: configuration.diskDirectories,
            identity: identity,
            logger: logger
        ) { [storeConfiguration] (directory) throws(SegmentStoreError) in
            var configuration = storeConfiguration
            configuration.directory = directory
            return try SegmentStore.open(configuration, logger: logger)
        }
        do {
            try await store.evenOut(logger: logger)
        } catch {
            // Until a later start, what any disk knows to be deleted is deleted.
            logger.warning("the disks could not be compared", metadata: ["reason": "\(error)"])
        }
        let status = store.status
        logger.info(
            "store open",
            metadata: [
                "node": "\(identity.node)", "records": "\(status.recordCount)",
                "damaged": "\(status.damagedCount)", "disks": "\(store.disks.count)",
            ]
        )
        let hello = hello(identity)
        var connections = ReplicationClientConfiguration()
        connections.tls = configuration.tls
        let fetcher = RecordFetcher(
            identity: hello,
            group: MultiThreadedEventLoopGroup.singleton,
            logger: logger,
            configuration: connections,
            socketDirectory: configuration.socketDirectory
        )
        var serverConfiguration = ReplicationServerConfiguration(
            host: configuration.host,
            port: configuration.port,
            identity: hello
        )
        serverConfiguration.tls = configuration.tls
        serverConfiguration.localSocket = configuration.socketDirectory.flatMap {
            LocalSocket.path(of: identity.node, in: $0)
        }
        let stores = ColdStores(cluster: identity.cluster, allowed: configuration.coldStores)
        let server = ReplicationServer(
            configuration: serverConfiguration,
            service: RecordService(
                store: store,
                fence: FenceFile(directory: configuration.dataDirectory),
                fetcher: fetcher,
                weight: configuration.weight,
                foreground: serverConfiguration.foreground,
                stores: stores
            ),
            group: MultiThreadedEventLoopGroup.singleton,
            logger: logger
        )
        let files = try files(of: store, identity.node)
        let port = try await server.start()
        logger.info("serving records", metadata: ["port": "\(port)"])
        await withTaskGroup(of: Void.self) { tasks in
            if configuration.compactionSeconds > 0 {
                for disk in store.disks {
                    let interval = Duration.seconds(configuration.compactionSeconds)
                    tasks.addTask { await Compactor(disk.store, interval: interval, logger: logger).run() }
                }
            }
            // Throws only when the task is cancelled, which ends the wait just as well.
            try? await gracefulShutdown()
            logger.info("stopping")
            tasks.cancelAll()
            await files?.shutdown()
            await server.shutdown()
            await fetcher.shutdown()
            await stores.shutdown()
            await store.close()
        }
    }

    /// Gives the segment files to processes on this host, when there is a directory for sockets.
    private func files(of store: NodeStore, _ node: NodeID) throws(SegmentFileServerError) -> SegmentFileServer? {
        guard let directory = configuration.socketDirectory, LocalSocket.isUsable(directory) else { return nil }
        return try SegmentFileServer(path: SegmentFileSocket.path(of: "\(node)", in: directory), logger: logger) {
            store.path(ofSegment: $1, disk: $0)
        }
    }

    private func hello(_ identity: NodeIdentity) -> HelloIdentity {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return HelloIdentity(
            clusterID: identity.cluster,
            nodeID: identity.node,
            incarnation: UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000,
            role: .storage,
            domain: configuration.domain
        )
    }

    private func makeDataDirectory() throws(StorageNodeError) {
        let path = configuration.dataDirectory
        guard mkdir(path, 0o700) == 0 || errno == EEXIST else {
            throw StorageNodeError(
                "cannot make the data directory \(path): \(String(cString: strerror(errno))); its parent must exist"
            )
        }
    }
}
