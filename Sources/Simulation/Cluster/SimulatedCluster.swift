// SPDX-License-Identifier: Apache-2.0

import Placement

/// The processes of one run and what lies between them.
final class SimulatedCluster {
    let world: World
    let nodes: [StorageProcess]
    /// A node of another cluster, which an address may lead to by mistake.
    let foreigner: StorageProcess
    let catalog: CatalogModel
    let coordinator: CoordinatorModel
    let ingests: [IngestProcess]
    let oracle: Oracle
    let comparison: ComparisonOracle
    /// In runs with tiering.
    let coldStore: ColdStoreModel?
    let tiering: TieringOracle?
    private let links: [[Link]]

    init(_ world: World) {
        self.world = world
        let plan = world.plan
        nodes = (plan.hosts + plan.spareHosts).enumerated().map { number, host in
            StorageProcess(world: world, number: number, host: host, cluster: plan.cluster)
        }
        for node in nodes.dropFirst(plan.hosts.count) { node.isMember = false }
        foreigner = StorageProcess(world: world, number: 99, host: 99, cluster: ClusterID(high: 6, low: 6))
        let map = PlacementMap(epoch: MapEpoch(rawValue: 1), members: nodes.filter(\.isMember).map(\.member))
        let catalog = CatalogModel(world: world, map: map)
        for member in map.members { catalog.register(member) }
        self.catalog = catalog
        coordinator = CoordinatorModel(world: world, nodes: nodes, catalog: catalog)
        let links = (0..<plan.ingestCount).map { [nodes] _ in nodes.map { _ in Link() } }
        self.links = links
        ingests = links.enumerated().map { [nodes] number, ways in
            IngestProcess(world: world, number: number, nodes: nodes, ways: ways, catalog: catalog)
        }
        oracle = Oracle(world: world, nodes: nodes, catalog: catalog)
        comparison = ComparisonOracle(oracle, coordinator.ledger, nodes: nodes)
        coldStore = coordinator.moves.store
        tiering = coldStore.map { [oracle, coordinator] in TieringOracle(oracle, coordinator.moves, $0) }
        coordinator.moves.oracle = tiering
        oracle.isPacked = { [tiering] in tiering?.isInPack($0) ?? false }
        for node in nodes {
            node.denied = { [oracle] in oracle.denied($0, by: $1) }
            node.dropped = { [oracle, tiering] in
                tiering?.dropped($0, on: $1, isHeldThere: $2)
                oracle.dropped($0, on: $1)
            }
            node.wasRead = { [comparison] in comparison.read($0, on: $1) }
        }
        for ingest in ingests {
            ingest.refused = { [oracle] in oracle.catalogRefused($0) }
            ingest.moves = coordinator.moves
        }
        coordinator.ledger.comparisonOracle = comparison
        coordinator.ledger.counted = { [oracle, comparison] in
            comparison.isBack($0, on: $1)
            oracle.counted($0, on: $1, under: $2)
        }
        coordinator.ledger.dropBegun = { [oracle, comparison] in
            oracle.dropBegun($0, on: $1, besides: $2, excusing: comparison.excused($0, $2))
        }
        coordinator.ledger.dropRestored = { [oracle] in oracle.hold($0, on: $1) }
        coordinator.removed = { [oracle] in oracle.removed($0, $1) }
    }

    /// The storage nodes of the cluster, without those that are lost for good.
    var members: [StorageProcess] { nodes.filter { $0.isMember && !$0.isLost } }

    func link(_ ingest: IngestProcess, _ node: StorageProcess) -> Link {
        links[Int(ingest.id.low) - 1][node.store.number]
    }

    func start() {
        for node in members + [foreigner] where !node.start() { world.violate("\(node.name) does not start") }
        for ingest in ingests { ingest.start() }
    }

    /// Starts a node, and again until it succeeds.
    func startLater(_ node: StorageProcess) {
        world.after(world.time(1_000...50_000)) { [self] in
            guard !node.isRunning, !node.isLost, !node.start() else { return }
            startLater(node)
        }
    }

    /// Lets go of everything that refers to each other.
    func end() {
        for node in nodes + [foreigner] {
            if node.isRunning { node.stop() }
            node.crashed = { _ in }
            node.denied = { _, _ in }
            node.dropped = { _, _, _ in }
            node.wasRead = { _, _ in }
            node.forget()
        }
        for ingest in ingests {
            if ingest.isRunning { ingest.die(withPower: true) }
            ingest.refused = { _ in }
            ingest.moves = nil
        }
        oracle.candidates = { _ in [] }
        oracle.isPacked = { _ in false }
        coordinator.end()
    }
}
