// SPDX-License-Identifier: Apache-2.0

/// What came of one run.
package struct Report: Sendable {
    package let seed: UInt64
    /// The same for the same seed, whenever and wherever it runs.
    package let hash: UInt64
    /// What was found; nil when all promises were kept.
    package let violation: String?
    package let faultCounts: [FaultKind: Int]
    /// The faults one by one, when they were asked for.
    package let faults: [String]
    /// The last lines of what happened, when they were asked for.
    package let trace: [String]
    package let promiseCount: Int
    package let readCount: Int
    /// Copies that were made and counted.
    package let copyCount: Int
    /// Surplus copies that nodes have let go.
    package let dropCount: Int
    /// Packs that were counted, instances that were in packs only at some time, and reads from packs.
    package let packCount: Int
    package let coldCount: Int
    package let coldReadCount: Int
    package let eventCount: Int

    package var faultCount: Int { faultCounts.values.reduce(0, +) }
}

/// Runs whole lifetimes of a cluster on one thread, everything left to chance drawn from a seed.
package enum Simulation {
    /// Runs a seed, with a deliberate mistake in it or without.
    ///
    /// `traceLimit` is how many lines of what happened are kept; 0 is quicker.
    package static func run(seed: UInt64, defect: Defect? = nil, traceLimit: Int = 0) -> Report {
        let world = World(Plan(seed: seed, defect: defect), traceLimit: traceLimit)
        let cluster = SimulatedCluster(world)
        let workload = Workload(cluster)
        let staff = Operator(cluster)
        let tiering = TieringWork(cluster)
        let injector = FaultInjector(cluster, staff, tiering)
        cluster.start()
        world.run(until: 50_000)
        injector.start()
        workload.start()
        tiering?.start(over: world.plan.duration)
        inspectNowAndThen(cluster)
        world.run(until: 50_000 + world.plan.duration)

        injector.heal()
        let end = world.now + 60_000_000
        let isQuiet = world.run(until: end) {
            workload.openCount == 0
                && cluster.ingests.allSatisfy { $0.isRunning && $0.owes(beside: cluster.oracle.doomed) == 0 }
        }
        if !isQuiet {
            let journals = cluster.ingests.map { "\($0.journalCount)" }.joined(separator: ", ")
            world.violate("no end after healing: \(workload.openCount) operations open, journals \(journals)")
        }
        staff.tend()
        tiering?.tend()
        // Time for every connection to come back.
        world.run(until: world.now + 3_000_000)
        let checked = world.run(until: world.now + 60_000_000) { cluster.nodes.allSatisfy { $0.isChecked } }
        if !checked {
            let behind = cluster.nodes.filter { !$0.isChecked }.map { "\($0.name): \($0.unchecked.sorted())" }
            world.violate("the nodes do not come round to check all segments: \(behind)")
        }
        let checkedAt = world.now
        if tiering != nil { workload.readMore(over: 4_000_000) }
        differ(cluster, injector, tiering)
        settle(cluster, staff, healedSince: checkedAt)
        if world.violation == nil, !world.plan.secondAct.isEmpty {
            staff.raiseCurtain()
            settle(cluster, staff, healedSince: checkedAt)
        }
        workload.probe()
        if !world.run(until: world.now + 10_000_000, { workload.openCount == 0 }) { world.violate("puts do not end") }
        workload.readAll()
        if !world.run(until: world.now + 20_000_000, { workload.openCount == 0 }) { world.violate("reads do not end") }
        check(cluster)
        cluster.end()
        world.end()
        return Report(
            seed: seed,
            hash: world.trace.hash,
            violation: world.violation,
            faultCounts: world.faultCounts,
            faults: world.faultList,
            trace: world.trace.kept,
            promiseCount: cluster.oracle.promiseCount,
            readCount: cluster.oracle.readCount,
            copyCount: cluster.oracle.copyCount,
            dropCount: cluster.oracle.dropCount,
            packCount: cluster.tiering?.packCount ?? 0,
            coldCount: cluster.tiering?.coldCount ?? 0,
            coldReadCount: cluster.tiering?.coldReadCount ?? 0,
            eventCount: world.eventCount
        )
    }

    /// Has catalog and nodes differ, while coordinators change and processes die.
    private static func differ(_ cluster: SimulatedCluster, _ injector: FaultInjector, _ tiering: TieringWork?) {
        let world = cluster.world
        guard world.violation == nil, world.plan.mislaidCount + world.plan.uncountedCount > 0 || tiering != nil else {
            return
        }
        let time = world.time(500_000...6_000_000)
        let mislaying = Mislaying(cluster)
        mislaying.start(over: time)
        tiering?.orderMore(over: time)
        if world.chance(75) { injector.disturb(for: time) }
        world.run(until: world.now + time + 100_000)
        injector.calm()
        // Those that have died start again.
        world.run(until: world.now + 5_000_000) { cluster.members.allSatisfy(\.isRunning) }
    }

    /// Waits until what was lost has been copied, nodes that are to go are gone, and damage is healed.
    private static func settle(_ cluster: SimulatedCluster, _ staff: Operator, healedSince time: Int64) {
        let world = cluster.world
        // What has just happened has to be noticed first.
        world.run(until: world.now + 500_000)
        let end = world.now + 120_000_000
        var open: String?
        repeat {
            world.run(until: world.now + 50_000)
            open =
                staff.unfinished ?? cluster.coordinator.unsettled ?? cluster.comparison.unsettled
                ?? cluster.tiering?.unsettled
        } while open != nil && world.now < end && world.violation == nil
        if let open { world.violate("copies are not made within two minutes: \(open)") }
        let isHealed = world.run(until: world.now + 60_000_000) {
            cluster.members.allSatisfy { cluster.coordinator.healer?.isDone($0, since: time) ?? false }
        }
        if !isHealed, !world.has(.neverHeal) { world.violate("damage is not healed within a minute") }
        cluster.oracle.checkFullRedundancy()
    }

    private static func inspectNowAndThen(_ cluster: SimulatedCluster) {
        cluster.world.after(400_000) {
            for node in cluster.nodes { cluster.oracle.inspect(node) }
            cluster.tiering?.inspect()
            inspectNowAndThen(cluster)
        }
    }

    /// Catalog and copies, then the same once more after every store was left in order, and after all lost their power.
    private static func check(_ cluster: SimulatedCluster) {
        let world = cluster.world
        guard world.violation == nil else { return }
        cluster.oracle.checkCatalog()
        cluster.oracle.checkCopies()
        cluster.tiering?.check()
        for isOrderly in [true, false] where world.violation == nil {
            for node in cluster.members {
                if node.isRunning { if isOrderly { node.stop() } else { node.die(withPower: true) } }
                if !node.start(), !node.store.isUnsound { world.violate("\(node.name) does not start at the end") }
            }
            for node in cluster.members { cluster.oracle.inspect(node) }
            cluster.oracle.checkCopies()
            cluster.oracle.checkDamage()
        }
        for node in cluster.nodes + [cluster.foreigner] where node.isRunning { node.stop() }
    }
}
