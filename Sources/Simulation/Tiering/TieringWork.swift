// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement

/// What people do about tiering, and what befalls the store: studies are ordered to be moved, and some orders cancelled; holds are placed
/// and released; the store goes away and comes back, and what lies in it rots.
final class TieringWork {
    private let world: World
    private let cluster: SimulatedCluster
    private let moves: MoveModel
    private let store: ColdStoreModel
    private let oracle: TieringOracle
    private let plan: Plan.Tiering
    private var nextHold: Int64 = 1

    init?(_ cluster: SimulatedCluster) {
        guard let plan = cluster.world.plan.tiering, let store = cluster.coldStore, let oracle = cluster.tiering else {
            return nil
        }
        self.world = cluster.world
        self.cluster = cluster
        self.moves = cluster.coordinator.moves
        self.store = store
        self.oracle = oracle
        self.plan = plan
    }

    private var studies: [String] { Set(cluster.catalog.live.map(\.study)).sorted() }

    /// Spreads orders and holds over the time that the plan gives the work.
    func start(over time: Int64) {
        for _ in 0..<plan.orderCount { world.after(world.time(time / 6...time)) { [self] in order() } }
        for _ in 0..<plan.holdCount { world.after(world.time(0...time)) { [self] in hold() } }
        for _ in 0..<plan.cancelCount { world.after(world.time(0...time)) { [self] in cancel() } }
        rotNowAndThen()
    }

    /// When the work is done.
    func orderMore(over time: Int64) {
        for _ in 0..<plan.orderCount { world.after(world.time(0...time)) { [self] in order() } }
    }

    private func order() {
        guard !cluster.catalog.isAway, let study = world.pick(studies) else { return }
        moves.enter(
            study,
            keepsHot: world.chance(plan.keepsHotPercent),
            soak: world.time(plan.shortestSoak...plan.longestSoak)
        )
    }

    private func cancel() {
        guard !cluster.catalog.isAway else { return }
        let open = moves.moves.indices.filter { moves.moves[$0].state != .done }
        guard let index = world.pick(open) else { return }
        // An order that is done for is taken up again only to be read.
        oracle.cancelled(index)
        moves.cancel(moves.moves[index].study)
    }

    private func hold() {
        guard !cluster.catalog.isAway, let study = world.pick(studies), moves.holds[study] == nil else { return }
        let number = nextHold
        nextHold += 1
        world.note("hold \(number) is placed on \(study)")
        moves.holds[study] = number
        world.after(world.time(100_000...3_000_000)) { [self] in
            if moves.holds[study] == number { moves.holds[study] = nil }
        }
    }

    // MARK: The store

    private func rotNowAndThen() {
        world.after(world.time(50_000...900_000)) { [self] in
            rot()
            rotNowAndThen()
        }
    }

    private func rot() {
        guard !world.isCalm, world.plan.allows(.packRot), let key = world.pick(oracle.expendable) else { return }
        store.spoil(key)
    }

    /// The store is not there for a while.
    func leave() {
        let time = world.time(50_000...2_500_000)
        world.count(.storeAway, "for \(time / 1000) ms")
        store.isAway = true
        world.after(time) { [self] in store.isAway = false }
    }

    // MARK: When nothing goes wrong any more

    /// People see to what is left, again and again.
    func tend() {
        store.isAway = false
        moves.holds = [:]
        moves.retry()
        world.after(300_000) { [self] in tend() }
    }
}
