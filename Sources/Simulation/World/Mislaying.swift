// SPDX-License-Identifier: Apache-2.0

import Placement
import Repair
import ReplicationProtocol
import SegmentFormat
import SegmentStore

/// Has nodes and catalog differ when no client waits for anything: copies that nodes lose without knowing it, as by a disk that was
/// put back from an older backup, and copies of which the catalog does not know, as by a repair whose end was lost.
///
/// Never the last good copy: of each instance one stays on a sound node that is to stay itself, and a copy is lost only when the one
/// before is back. Who drops or removes relies on two copies at least, of which one may be lost when it has just been read.
final class Mislaying {
    private let world: World
    private let cluster: SimulatedCluster

    init(_ cluster: SimulatedCluster) {
        self.world = cluster.world
        self.cluster = cluster
    }

    /// Over so many microseconds.
    func start(over time: Int64) {
        for _ in 0..<world.plan.mislaidCount where world.plan.allows(.copyMislaid) {
            world.after(world.time(0...time)) { [self] in mislay() }
        }
        for _ in 0..<world.plan.uncountedCount where world.plan.allows(.copyUncounted) {
            world.after(world.time(0...time)) { [self] in copyUncounted() }
        }
    }

    private var rows: [CatalogModel.Entry] {
        cluster.catalog.live.filter { !cluster.oracle.doomed.contains($0.recordID) }
    }

    private func mislay() {
        guard let row = world.pick(rows), !cluster.comparison.isMislaid(row.recordID) else { return }
        let candidates = cluster.members.filter { node in
            row.nodes.contains(node.store.id) && node.isRunning && !isStaying(row.recordID, besides: node, row).isEmpty
        }
        guard let node = world.pick(candidates), let instance = instance(row) else { return }
        let drop = RecordDrop(id: row.recordID, payloadDigest: instance.digest, isHeldElsewhere: true)
        let term = cluster.catalog.term
        node.step(100...900) { [self] engine in
            // Others may have gone meanwhile.
            guard let row = rows.first(where: { $0.recordID == row.recordID }), row.nodes.contains(node.store.id),
                !cluster.comparison.isMislaid(row.recordID), !isStaying(row.recordID, besides: node, row).isEmpty
            else { return }
            let result = Result { () throws(SegmentStoreError) in
                try engine.drop(
                    [drop],
                    permit: .init(high: 9, low: UInt64(world.now)),
                    mapEpoch: cluster.catalog.map.epoch,
                    under: term
                )
            }
            if case .success([.dropped]) = result {
                cluster.comparison.mislaid(row.recordID, on: node.store.id)
            }
        } _: { _ in
        }
    }

    /// Sound nodes in service, which have a record whole and are counted for it.
    private func isStaying(
        _ id: RecordID,
        besides node: StorageProcess,
        _ row: CatalogModel.Entry
    ) -> [StorageProcess] {
        cluster.members.filter { other in
            guard other !== node, row.nodes.contains(other.store.id), !other.store.isUnsound, other.isRunning,
                cluster.catalog.service(of: other.store.id) == .inService, let engine = other.store.engine,
                case .success = Result(catching: { () throws(SegmentStoreError) in try engine.verify(id) })
            else { return false }
            return true
        }
    }

    private func copyUncounted() {
        guard let row = world.pick(rows) else { return }
        let targets = cluster.members.filter { node in
            !row.nodes.contains(node.store.id) && node.isRunning && cluster.catalog.map[node.store.id] != nil
        }
        let sources = cluster.members.filter { node in
            row.nodes.contains(node.store.id) && node.isRunning && !node.store.isUnsound
        }
        guard let target = world.pick(targets), let source = world.pick(sources) else { return }
        world.count(.copyUncounted, "\(row.recordID) on \(target.name)")
        let stamp = OrderStamp(term: cluster.catalog.term, mapEpoch: cluster.catalog.map.epoch)
        target.after(0) { target.pull(row.recordID, from: source, stamp) { _ in } }
    }

    private func instance(_ row: CatalogModel.Entry) -> Instance? {
        cluster.oracle.candidates(row.instance).first { $0.recordID == row.recordID }
    }
}
