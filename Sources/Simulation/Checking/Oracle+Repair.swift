// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement

/// What must hold of copies that are made, and of nodes that go.
extension Oracle {
    /// For so long a node that is gone may pass for one that answers: until it is suspect, and what was judged before is done.
    private static let longestBelief: Int64 = 900_000

    /// A coordinator counted a copy: the catalog names one more node for the record.
    func counted(_ id: RecordID, on node: NodeID, under term: Term) {
        copyCount += 1
        world.mix(id.low ^ node.low)
        world.note("a copy of \(id) on \(nodes[node]?.name ?? "") is counted under term \(term.rawValue)")
        if term != catalog.term {
            world.violate("a copy is counted under term \(term.rawValue) after \(catalog.term.rawValue) has begun")
        }
        hold(id, on: node)
        guard let row = catalog.live.first(where: { $0.recordID == id }),
            let instance = candidates(row.instance).first(where: { $0.recordID == id })
        else { return }
        checkDurable(instance, [node])
    }

    /// A copy is counted no more, for its node to drop it; those on `keepers` are, of which some may be lost and nobody
    /// knows it.
    func dropBegun(_ id: RecordID, on node: NodeID, besides keepers: [NodeID], excusing lost: [NodeID]) {
        world.mix(id.low ^ node.low ^ 1)
        world.note("the copy of \(id) on \(nodes[node]?.name ?? "") is counted no more")
        release(id, on: node)
        guard let row = catalog.live.first(where: { $0.recordID == id }),
            let instance = candidates(row.instance).first(where: { $0.recordID == id })
        else { return }
        checkDurable(instance, keepers.filter { !lost.contains($0) })
        // Before that, coordinators that take over and a catalog that is slow make beliefs last longer.
        guard world.isCalm else { return }
        let there = keepers.compactMap { nodes[$0] }.filter {
            $0.isRunning || world.now - $0.downSince < Self.longestBelief
        }
        if Set(there.map(\.domain)).count < world.plan.copies {
            world.violate(
                "\(id) is dropped by \(nodes[node]?.name ?? "") while copies are on \(there.count) nodes otherwise"
            )
        }
    }

    /// A node has let a copy go.
    func dropped(_ id: RecordID, on node: NodeID) {
        dropCount += 1
        letGo.insert(Fact(node: node, record: id))
        release(id, on: node)
        world.note("\(nodes[node]?.name ?? "") has let \(id) go")
        guard let row = catalog.live.first(where: { $0.recordID == id }) else { return }
        if row.nodes.contains(node) {
            world.violate("\(nodes[node]?.name ?? "") has let a copy of \(row.instance) go that is counted")
        }
    }

    /// A node was removed; `placed` is where copies were when that was decided.
    func removed(_ node: NodeID, _ placed: [PlacedGroup]) {
        // Before that, coordinators that take over and a catalog that is slow make beliefs last longer.
        guard world.isCalm else { return }
        for set in placed where set.nodes.contains(node) {
            let others = set.nodes.filter { $0 != node }.compactMap { nodes[$0] }
            let there = others.filter { $0.isRunning || world.now - $0.downSince < Self.longestBelief }
            if Set(there.map(\.domain)).count < world.plan.copies {
                let names = others.map { "\($0.name)\($0.isRunning ? "" : " (gone)")" }
                world.violate("\(nodes[node]?.name ?? "") is removed while copies are only on \(names) otherwise")
            }
        }
    }

    /// Every instance has as many copies as are wanted, on distinct hosts of nodes in service, or as there are such hosts;
    /// and each copy that the catalog names is there.
    func checkFullRedundancy() {
        let serving = nodes.values.filter { node in
            node.isMember && !node.isLost && node.isRunning && catalog.service(of: node.store.id) == .inService
        }
        let wanted = min(world.plan.copies, Set(serving.map(\.domain)).count)
        for row in catalog.live where !isLeftToPack(row) {
            let holders = serving.filter { row.nodes.contains($0.store.id) }
            let hosts = Set(holders.map(\.domain)).count
            if hosts < wanted {
                world.violate("\(row.instance) has copies on \(hosts) hosts of nodes in service, not on \(wanted)")
            }
            // Also of what nobody was told that it is stored.
            guard !doomed.contains(row.recordID),
                let instance = candidates(row.instance).first(where: { $0.recordID == row.recordID })
            else { continue }
            for node in holders.sorted(by: { $0.store.number < $1.store.number }) where !node.store.isUnsound {
                if let engine = node.store.engine {
                    check(instance, in: engine, "\(node.name), which the catalog names,")
                }
            }
        }
        checkRedundancy()
    }
}
