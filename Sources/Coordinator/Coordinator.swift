// SPDX-License-Identifier: Apache-2.0

import Catalog
public import Logging
import NIOPosix
import Placement
import Repair
import ReplicationProtocol
public import ServiceLifecycle
import Telemetry

/// The role that keeps the list of storage nodes and the placement map.
///
/// One of several leads at a time, by a lease in the catalog; the others wait. The leader asks every configured node
/// each second whether it lives, records what it learns, and publishes a new epoch of the map when membership changes.
/// It has storage nodes fetch what their disks have damaged from others, tells them what was deleted and what is held, lets them
/// empty their trash, and has copies made where they are wanted: of what a lost node had, of what is on a node that is to be
/// emptied, and for a new one. It compares
/// the catalog with what the nodes have, and what is missing is made again. It has studies written into cold packs, and
/// read back from there, and judges all studies by the rules. No store and no read needs it.
public struct Coordinator: Service {
    private let configuration: CoordinatorConfiguration
    private let logger: Logger

    public init(configuration: CoordinatorConfiguration, logger: Logger) {
        self.configuration = configuration
        self.logger = logger
    }

    public func run() async throws {
        let catalog = try Catalog(
            configuration: .init(
                connectionString: configuration.catalog,
                // Repair, deletions, holds, purges, comparing, moves, recalls, packs and rules do not wait for each other, nor the
                // lease for them.
                poolSize: 10,
                applicationName: "varve \(configuration.name)"
            ),
            logger: logger
        )
        let watchers = configuration.storageNodes.map { node in
            NodeWatcher(
                node: node,
                identity: identity,
                tls: configuration.tls,
                group: MultiThreadedEventLoopGroup.singleton,
                logger: logger
            )
        }
        let heartbeat = Duration.milliseconds(configuration.heartbeatMilliseconds)
        let healer = Healer(
            catalog: catalog,
            interval: heartbeat,
            settling: .seconds(Int64(configuration.lossSettlingSeconds)),
            logger: logger
        )
        let trash = TrashWorker(catalog: catalog, interval: heartbeat, logger: logger)
        let holds = HoldWorker(catalog: catalog, interval: heartbeat, logger: logger)
        let gate = CountingGate()
        let purge = PurgeWorker(catalog: catalog, limits: configuration.purge, interval: heartbeat, logger: logger)
        let facts = FactsWorker(catalog: catalog, logger: logger)
        let repair = RepairWorker(
            ledger: catalog,
            surplus: catalog,
            gate: gate,
            copies: configuration.copies,
            limits: configuration.repair,
            interval: heartbeat,
            logger: logger
        )
        let comparison = ComparisonWorker(
            ledger: catalog,
            gate: gate,
            limits: configuration.repair,
            period: configuration.verifySeconds > 0 ? .seconds(configuration.verifySeconds) : nil,
            interval: heartbeat,
            logger: logger
        )
        var moveLimits = MoveLimits()
        moveLimits.recheckAge =
            configuration.packVerifySeconds > 0 ? .seconds(configuration.packVerifySeconds) : nil
        moveLimits.dropsCopies = configuration.dropsPackedCopies
        moveLimits.recheckInterval = min(moveLimits.recheckInterval, moveLimits.recheckAge ?? .seconds(60))
        let moves = MoveWorker(ledger: catalog, limits: moveLimits, interval: heartbeat, logger: logger) {
            Timestamp.now().milliseconds
        }
        var recallLimits = RecallLimits()
        recallLimits.bytesPerSecond = configuration.repair.bytesPerSecond
        let recalls = RecallWorker(ledger: catalog, limits: recallLimits, interval: heartbeat, logger: logger)
        var careLimits = PackCareLimits()
        careLimits.removes = configuration.purgesPacks
        careLimits.grace = .seconds(configuration.packGraceSeconds)
        careLimits.markInterval = min(careLimits.markInterval, max(.seconds(1), careLimits.grace))
        let packs = PackCareWorker(ledger: catalog, limits: careLimits, interval: heartbeat, logger: logger) {
            Timestamp.now().milliseconds
        }
        let lifecycle = LifecycleWorker(
            catalog: catalog,
            period: configuration.lifecycleRoundSeconds > 0 ? .seconds(configuration.lifecycleRoundSeconds) : nil,
            dropsCopies: configuration.dropsPackedCopies,
            logger: logger
        )
        let leadership = Leadership(
            configuration: configuration,
            catalog: catalog,
            watchers: watchers,
            healer: healer,
            trash: trash,
            holds: holds,
            purge: purge,
            facts: facts,
            lifecycle: lifecycle,
            repair: repair,
            comparison: comparison,
            moves: moves,
            recalls: recalls,
            packs: packs,
            logger: logger
        )
        await cancelWhenGracefulShutdown {
            async let healing: Void = healer.run()
            async let deleting: Void = trash.run()
            async let holding: Void = holds.run()
            async let purging: Void = purge.run()
            async let collecting: Void = facts.run()
            async let judging: Void = lifecycle.run()
            async let repairing: Void = repair.run()
            async let comparing: Void = comparison.run()
            async let moving: Void = moves.run()
            async let recalling: Void = recalls.run()
            async let caring: Void = packs.run()
            var leadership = leadership
            while !Task.isCancelled {
                await leadership.beat()
                // Cancellation ends the wait, and with it the loop.
                try? await Task.sleep(for: heartbeat)
            }
            await leadership.resign()
            await healing
            await deleting
            await holding
            await purging
            await collecting
            await judging
            await repairing
            await comparing
            await moving
            await recalling
            await caring
        }
        logger.info("stopping")
        for watcher in watchers { await watcher.shutdown() }
        await catalog.shutdown()
    }

    private var identity: HelloIdentity {
        var generator = SystemRandomNumberGenerator()
        return HelloIdentity(
            clusterID: configuration.cluster,
            nodeID: NodeID(high: generator.next(), low: generator.next()),
            incarnation: UInt64(Timestamp.now().milliseconds),
            role: .coordinator,
            domain: FailureDomain(host: configuration.name)
        )
    }
}
