// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Reconciliation

/// The people who run the cluster: they add nodes, have them emptied and removed, and give up what is lost for good.
///
/// They order by rows of the catalog, as `varve node` does, and know what `varve status` shows.
final class Operator {
    private let world: World
    private let cluster: SimulatedCluster
    /// Nodes that are to go, by number, and from when on.
    private var leaving: [Int: Int64] = [:]
    private var isTending = false

    private var catalog: CatalogModel { cluster.catalog }

    init(_ cluster: SimulatedCluster) {
        self.world = cluster.world
        self.cluster = cluster
    }

    private func order(_ kind: NodeOrder.Kind, _ node: StorageProcess) {
        world.note("an operator orders \(kind) of \(node.name)")
        catalog.enter(kind, node.store.id)
    }

    private func isRemoved(_ node: StorageProcess) -> Bool { catalog.service(of: node.store.id) == .removed }

    /// Nodes that take part and are to stay.
    private var staying: [StorageProcess] {
        cluster.members.filter { node in
            node.isRunning && catalog.service(of: node.store.id) == .inService && leaving[node.store.number] == nil
        }
    }

    private func hostCount(_ nodes: [StorageProcess]) -> Int { Set(nodes.map(\.domain)).count }

    // MARK: While there is work

    /// Has a node emptied; most of them are wanted again soon.
    func drain(_ node: StorageProcess) {
        guard catalog.service(of: node.store.id) == .inService else { return }
        world.count(.nodeDrain, node.name)
        order(.drain, node)
        guard world.chance(70) else { return }
        world.after(world.time(300_000...2_500_000)) { [self] in
            if !isTending, catalog.service(of: node.store.id) == .draining { order(.undrain, node) }
        }
    }

    /// Asks for a node to be removed that holds nothing which its disk may not lose.
    ///
    /// Of others not before journals are empty: what has been stored on one by an old map counts with its other copies
    /// (docs/decisions/0045).
    func remove(_ node: StorageProcess) {
        guard node.store.isUnsound, !isRemoved(node) else { return }
        world.count(.nodeRemove, node.name)
        if catalog.service(of: node.store.id) == .inService, !node.isLost { order(.drain, node) }
        for delay in [Int64(600_000), 1_500_000, 3_000_000] {
            world.after(delay) { [self] in if !isTending, !isRemoved(node) { order(.remove, node) } }
        }
    }

    /// Takes a new node in, which is to have its share.
    @discardableResult
    func addNode() -> Bool {
        guard let node = cluster.nodes.first(where: { !$0.isMember }) else { return false }
        world.count(.nodeAdd, node.name)
        node.isMember = true
        cluster.startLater(node)
        return true
    }

    // MARK: When nothing goes wrong any more

    /// Sees to what only people can see to, again and again.
    func tend() {
        if !isTending {
            isTending = true
            for node in cluster.members where catalog.service(of: node.store.id) == .draining {
                let mayGo = hostCount(staying.filter { $0 !== node }) >= world.plan.copies
                switch world.number(0...2) {
                case 0 where mayGo: leaving[node.store.number] = world.now
                case 1: order(.undrain, node)
                default: break
                }
            }
        }
        for node in cluster.nodes where isRemoved(node) && !node.isLost {
            // Its disks go to another use.
            world.count(.nodeRemove, "\(node.name), whose disks are wiped")
            node.lose()
        }
        if hostCount(staying) < world.plan.copies, !addNode() { wantBack() }
        if catalog.openOrder == nil { orderNext() }
        cluster.coordinator.ledger.retry()
        world.after(300_000) { [self] in tend() }
    }

    /// Takes a node that is being emptied into service again: there is no other.
    private func wantBack() {
        let draining = cluster.members.first { node in
            node.isRunning && catalog.service(of: node.store.id) == .draining
        }
        guard let draining, catalog.openOrder == nil else { return }
        leaving[draining.store.number] = nil
        order(.undrain, draining)
    }

    /// One at a time: what is refused now may have to wait for another.
    private func orderNext() {
        let open = cluster.nodes.filter { node in
            node.isMember && !isRemoved(node)
                && (node.isLost || leaving[node.store.number, default: .max] <= world.now)
        }
        guard let node = world.pick(open) else { return }
        if catalog.service(of: node.store.id) == .draining || cluster.coordinator.health(of: node) == .out {
            order(.remove, node)
        } else if !node.isLost || cluster.coordinator.isMassLoss {
            order(.drain, node)
        }
    }

    /// What nodes have that are to go, or are lost and not removed yet.
    var unfinished: String? {
        for node in cluster.nodes where node.isMember && !isRemoved(node) {
            if node.isLost { return "\(node.name), which is lost, is not removed" }
            if leaving[node.store.number] != nil { return "\(node.name), which is to go, is not removed" }
        }
        return nil
    }

    // MARK: The second act

    /// When all is as it should be, more is lost: whatever was counted has to be there now.
    func raiseCurtain() {
        let scenes = world.plan.secondAct
        if scenes.contains(.growth) { addNode() }
        if scenes.contains(.loss) { loseHost() }
        if scenes.contains(.removal), let node = world.pick(staying),
            hostCount(staying.filter { $0 !== node }) + spareHostCount >= world.plan.copies
        {
            world.note("\(node.name) is to go")
            // When what is lost is known to be gone, and not given up yet.
            leaving[node.store.number] = world.now + world.time(0...2_000_000)
        }
    }

    private var spareHostCount: Int { hostCount(cluster.nodes.filter { !$0.isMember }) }

    /// Loses all nodes of a host without which each instance has a copy that is known to be good.
    private func loseHost() {
        let hosts = Set(staying.map(\.domain)).sorted().filter { host in
            catalog.live.allSatisfy { row in
                row.nodes.isEmpty
                    || staying.contains { node in
                        row.nodes.contains(node.store.id) && node.domain != host && node.store.damageCount != nil
                    }
            }
        }
        guard let host = world.pick(hosts) else { return }
        for node in cluster.members where node.domain == host {
            world.count(.nodeLoss, node.name)
            node.lose()
        }
    }
}
