// SPDX-License-Identifier: Apache-2.0

import Catalog
import NIOConcurrencyHelpers
import Placement
import Repair
import Testing

/// Nodes that have copies of what is in cold packs only.
struct ColdComparisonTests {
    private static func compareAll(_ world: ComparisonWorld, _ worker: ComparisonWorker) async {
        for _ in 0..<1100 {
            worker.update(world.view)
            await worker.step()
            world.state.withLockedValue { $0.time += .seconds(1) }
        }
    }

    @Test func `a copy of what a sound pack holds is ordered to go, and not counted`() async {
        let world = ComparisonWorld()
        let record = world.store(1, counted: [], present: [2], isCold: true)
        world.state.withLockedValue { $0.packed = [record] }
        await Self.compareAll(world, world.worker())
        #expect(world.counted(record).isEmpty)
        #expect(world.state.withLockedValue { $0.coldOrders[record]?.contains(world.ids[2]) } == true)
    }

    @Test func `when no pack is sound the copy is read whole and counted, as the last good one`() async {
        let world = ComparisonWorld()
        let record = world.store(1, counted: [], present: [2], isCold: true)
        await Self.compareAll(world, world.worker())
        #expect(world.counted(record) == [2])
        #expect(world.state.withLockedValue { $0.coldOrders.isEmpty })
    }

    @Test func `a damaged copy is not counted then, nor one that is being dropped`() async {
        let world = ComparisonWorld()
        let damaged = world.store(1, counted: [], present: [2], isCold: true)
        let dropping = world.store(2, counted: [], present: [1], group: 9, isCold: true)
        world.change(2) { $0.damaged = [damaged] }
        world.state.withLockedValue { $0.dropping = [dropping] }
        await Self.compareAll(world, world.worker())
        #expect(world.counted(damaged).isEmpty && world.counted(dropping).isEmpty)
    }

    @Test func `what is in packs only is not missing on any node`() async {
        let world = ComparisonWorld()
        let record = world.store(1, counted: [], present: [], isCold: true)
        await Self.compareAll(world, world.worker())
        let (lost, missing) = world.state.withLockedValue { ($0.lost, $0.counts.missingCount) }
        #expect(lost.isEmpty && missing == 0 && world.counted(record).isEmpty)
    }
}
