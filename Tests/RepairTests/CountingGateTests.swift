// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import Placement
import Repair
import Testing

/// A copy is looked at and counted, or copies are dropped and confirmed on its node, but never both at once.
///
/// Else a copy is counted that was dropped after it had been looked at, found by the simulation.
@Suite struct CountingGateTests {
    @Test func `a node is taken by one at a time`() {
        let gate = CountingGate()
        let (node, other) = (NodeID(high: 1, low: 1), NodeID(high: 1, low: 2))
        #expect(gate.enter(node))
        let isTaken = !gate.enter(node)
        #expect(isTaken)
        #expect(gate.enter(other))
        gate.leave(node)
        #expect(gate.enter(node))
    }

    @Test func `a copy is not counted while its node is dropping others, and is in the next pass`() async {
        let world = ComparisonWorld()
        let record = world.store(1, counted: [0, 1], present: [0, 1, 2])
        let gate = CountingGate()
        #expect(gate.enter(world.ids[2]))
        // The same group, again and again.
        let worker = world.worker(gate: gate) { $0 }
        await worker.step()
        #expect(world.counted(record) == [0, 1])
        gate.leave(world.ids[2])
        world.state.withLockedValue { $0.time += .seconds(10) }
        await worker.step()
        #expect(world.counted(record) == [0, 1, 2])
        #expect(gate.enter(world.ids[2]), "it is left afterwards")
    }

    @Test func `nobody drops on a node while a copy there is counted`() async {
        let world = ComparisonWorld()
        let record = world.store(1, counted: [0, 1], present: [0, 1, 2])
        let last = world.store(2, counted: [0, 1], present: [2])
        let gate = CountingGate()
        let free = NIOLockedValueBox(0)
        world.state.withLockedValue { state in
            state.whenCounted = { node in if gate.enter(node) { free.withLockedValue { $0 += 1 } } }
        }
        let worker = world.worker(gate: gate)
        for _ in 0..<100 {
            worker.update(world.view)
            await worker.step()
            world.state.withLockedValue { $0.time += .seconds(1) }
        }
        #expect(world.counted(record) == [0, 1, 2] && world.counted(last) == [2])
        #expect(free.withLockedValue { $0 } == 0)
        #expect(gate.enter(world.ids[2]), "it is left afterwards")
    }

    @Test func `nobody counts a copy on a node while it is told to drop`() async {
        let world = SurplusWorld(nodes: 4)
        let records = SurplusScene.store(world, 20)
        let scene = SurplusScene(world)
        let orders = NIOLockedValueBox((free: 0, taken: 0))
        world.state.withLockedValue { state in
            state.whenTold = { [gate = scene.gate] node in
                let isFree = gate.enter(node)
                if isFree { gate.leave(node) }
                orders.withLockedValue { if isFree { $0.free += 1 } else { $0.taken += 1 } }
            }
        }
        #expect(await scene.run() == nil)
        for record in records { #expect(world.counted(record).count == 2) }
        // Free when it is only asked whether it takes orders.
        let (free, taken) = orders.withLockedValue { $0 }
        #expect(taken > 0 && free > 0)
        for node in world.ids { #expect(scene.gate.enter(node), "it is left afterwards") }
    }

    @Test func `nothing is dropped on a node while a copy there is looked at`() async {
        let world = SurplusWorld(nodes: 3)
        let records = SurplusScene.store(world, 10)
        let scene = SurplusScene(world)
        for node in world.ids { #expect(scene.gate.enter(node)) }
        #expect(await scene.run() == nil)
        for record in records { #expect(world.counted(record).count == 3 && world.whole(record).count == 3) }
        for node in world.ids { scene.gate.leave(node) }
        #expect(await scene.run() == nil)
        for record in records { #expect(world.counted(record).count == 2 && world.whole(record).count == 2) }
    }

    @Test func `what was ordered is not confirmed while a copy there is looked at`() async {
        let world = SurplusWorld(nodes: 3)
        _ = SurplusScene.store(world, 10)
        world.state.withLockedValue { state in
            for id in world.ids { state.nodes[id]?.losesAnswers = true }
        }
        let scene = SurplusScene(world)
        _ = await scene.run(rounds: 1)
        let open = world.state.withLockedValue { $0.unconfirmed.count }
        #expect(open > 0)
        for node in world.ids { #expect(scene.gate.enter(node)) }
        _ = await scene.run(rounds: 1)
        #expect(world.state.withLockedValue { $0.unconfirmed.count } == open)
        for node in world.ids { scene.gate.leave(node) }
        world.state.withLockedValue { state in
            for id in world.ids { state.nodes[id]?.losesAnswers = false }
        }
        _ = await scene.run(rounds: 2)
        #expect(world.state.withLockedValue { $0.unconfirmed.isEmpty })
    }
}
