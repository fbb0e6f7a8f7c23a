// SPDX-License-Identifier: Apache-2.0

import Healing
import Logging
import Placement
import ReplicationProtocol
import SegmentFormat
import SegmentStore

/// Has damaged nodes healed, one after another, by the real `NodeHealing`; follows `Healer`.
// Safety: made, used and let go of on its world's one thread, where `WorldExecutor` runs the task that has it.
final class HealerModel: @unchecked Sendable {
    private static let logger = Logger(label: "healing") { _ in SwiftLogNoOpLogHandler() }

    private let world: World
    private let nodes: [StorageProcess]
    private let catalog: CatalogModel
    private let coordinator: CoordinatorModel
    private var isHealing = false
    private var pausedUntil: [NodeID: Int64] = [:]
    private var losses = LossAges(settling: .microseconds(Limits.lossSettling))
    /// When the last healing that ran to its end had begun.
    private(set) var healedSince: [NodeID: Int64] = [:]

    init(_ coordinator: CoordinatorModel, nodes: [StorageProcess], catalog: CatalogModel, in world: World) {
        self.world = world
        self.nodes = nodes
        self.catalog = catalog
        self.coordinator = coordinator
        look()
    }

    /// Whether a node is well, or all has been tried for it since `time`.
    func isDone(_ node: StorageProcess, since time: Int64) -> Bool {
        !needsHealing(node) || healedSince[node.store.id, default: -1] > time
    }

    private func needsHealing(_ node: StorageProcess) -> Bool {
        guard let status = node.store.engine?.status else { return false }
        return status.isUncertain || status.quarantinedRanges.contains { $0.kind == .damaged }
    }

    private func look() {
        world.after(world.time(50_000...300_000)) { [self] in
            if !isHealing, !world.has(.neverHeal) {
                let ill = nodes.filter { node in
                    coordinator.isUp(node) && node.isRunning && needsHealing(node)
                        && pausedUntil[node.store.id, default: 0] <= world.now
                }
                if let node = world.pick(ill) { heal(node) }
            }
            look()
        }
    }

    private func heal(_ node: StorageProcess) {
        isHealing = true
        let began = world.now
        let isUncertain = node.store.engine?.status.isUncertain ?? false
        let others = nodes.filter { $0 !== node && coordinator.isUp($0) }
        let (id, incarnation) = (node.store.id, node.incarnation)
        let stamp = OrderStamp(term: coordinator.term, mapEpoch: catalog.map.epoch)
        let healing = NodeHealing(
            SimulatedPeer(node, coordinator),
            others: others.map { SimulatedPeer($0, coordinator) },
            map: catalog.map,
            stamp: stamp,
            catalog: SimulatedCatalog(catalog, in: world),
            timeToSettle: { [self] unnamed in
                let loss = LossAges.Loss(incarnation: incarnation, unnamed: unnamed)
                return losses.timeLeft(id, loss, now: .microseconds(world.now))
            },
            logger: Self.logger
        )
        Task(executorPreference: world.executor) { [self] in
            let result = await Result { () async throws(ReplicationError) in
                try await healing.run(isUncertain: isUncertain)
            }
            ended(id, began: began, result)
        }
    }

    private func ended(_ id: NodeID, began: Int64, _ result: Result<NodeHealing.Outcome, ReplicationError>) {
        isHealing = false
        pausedUntil[id] = world.now + world.time(50_000...400_000)
        let name = nodes.first { $0.store.id == id }?.name ?? ""
        switch result {
        case .failure(let error): world.note("healing of \(name) is broken off: \(error)")
        case .success(let outcome):
            if outcome.timeToSettle <= .zero { healedSince[id] = began }
            world.mix(UInt64(outcome.fetchedCount) << 16 | outcome.remainingCount)
            world.note(
                "\(name) is healed: \(outcome.fetchedCount) fetched, \(outcome.absent.count) nowhere, "
                    + "\(outcome.doubtful.count) out of reach, \(outcome.remainingCount) ranges left, "
                    + "\(outcome.isReconciled ? "compared" : "not compared") \(outcome.obstacle ?? "")"
            )
        }
    }
}
