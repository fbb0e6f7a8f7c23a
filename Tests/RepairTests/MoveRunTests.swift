// SPDX-License-Identifier: Apache-2.0

import Catalog
import NIOConcurrencyHelpers
import Placement
import Repair
import ReplicationProtocol
import Testing

/// Moves are carried out whatever dies on the way.
struct MoveRunTests {
    @Test func `a study is packed, read back, stands, and is read back again`() async {
        let world = MoveWorld(instances: 10)
        #expect(await world.work())
        var state = world.state.withLockedValue { $0 }
        #expect(state.packs.count == 3 && state.packs.values.allSatisfy { $0.pack.state == .counted })
        #expect(state.asked == ["build 1", "build 1", "build 1", "verify 2", "verify 2", "verify 2"])
        #expect(state.move.state == .underWay && world.isPacked)
        // Nothing more happens while it stands.
        #expect(await world.work())
        #expect(world.state.withLockedValue { $0.asked.count } == 6)
        world.takeOver(after: .seconds(61))
        #expect(await world.work())
        state = world.state.withLockedValue { $0 }
        #expect(state.asked.count == 9 && state.move.state == .done && world.isPacked)
    }

    /// The coordinator, the node or the catalog dies: after what was done, and before it is known.
    @Test func `whatever dies at whatever step, the next goes on and nothing is lost`() async {
        for deadAfter in 1...60 {
            let world = MoveWorld(instances: 10)
            world.takeOver(stepsLeft: deadAfter)
            var rounds = 0
            while world.state.withLockedValue({ $0.move.state }) == .underWay, rounds < 40 {
                rounds += 1
                _ = await world.work()
                #expect(world.objection(instances: 10) == nil, "after \(deadAfter) steps, round \(rounds)")
                // Every other one dies as well, a little later each time.
                world.takeOver(after: .seconds(20), stepsLeft: rounds % 2 == 0 ? .max : deadAfter + rounds)
            }
            world.takeOver()
            #expect(world.state.withLockedValue { $0.move.state } == .done, "after \(deadAfter) steps")
            #expect(world.isPacked, "after \(deadAfter) steps")
        }
    }

    @Test func `a pack that the store has damaged is given up and made anew`() async {
        let world = MoveWorld(instances: 10)
        world.state.withLockedValue { $0.damages = 2 }
        for _ in 0..<8 where !world.isPacked {
            #expect(await world.work())
            #expect(world.objection(instances: 10) == nil)
        }
        #expect(world.isPacked)
        let packs = world.state.withLockedValue { $0.packs.values.map(\.pack.state) }
        #expect(packs.count { $0 == .givenUp } == 2 && packs.count { $0 == .counted } == 3)
    }

    @Test func `what rots while it stands is found when it is read again, and replaced`() async {
        let world = MoveWorld(instances: 4)
        #expect(await world.work())
        world.state.withLockedValue { state in
            for id in state.objects.keys { state.objects[id]?.isDamaged = true }
        }
        world.takeOver(after: .seconds(61))
        for _ in 0..<6 {
            #expect(await world.work())
            world.takeOver(after: .seconds(61))
        }
        #expect(world.isPacked && world.state.withLockedValue { $0.move.state } == .done)
    }

    @Test func `a move waits for a medium however long it takes`() async {
        let world = MoveWorld(instances: 4)
        let away = ReplicationError(.offline, "not mounted")
        for _ in 1...20 {
            world.state.withLockedValue { $0.refusals = [away] }
            #expect(await world.work())
            let move = world.state.withLockedValue { $0.move }
            #expect(move.state == .underWay && move.attemptCount == 0 && move.note.hasPrefix("waits for medium"))
        }
        #expect(await world.work())
        #expect(world.isPacked)
        // It is taken out while the pack stands.
        world.takeOver(after: .seconds(61))
        world.state.withLockedValue { $0.refusals = [away] }
        #expect(await world.work())
        #expect(world.state.withLockedValue { $0.move.state == .underWay && $0.offline.count == 1 })
        #expect(await world.work())
        #expect(world.state.withLockedValue { $0.move.state } == .done && world.isPacked)
    }

    @Test func `a store that damages whatever lies there needs a person`() async {
        let world = MoveWorld(instances: 4)
        world.state.withLockedValue { $0.damages = .max }
        for _ in 0..<20 { #expect(await world.work()) }
        let move = world.state.withLockedValue { $0.move }
        #expect(move.state == .needsPerson && move.note.contains("rotten"))
        #expect(world.objection(instances: 4) == nil)
    }

    @Test func `what a node refuses waits, and another node is asked`() async {
        let world = MoveWorld(instances: 4)
        let refusal = ReplicationError(.forbidden, "not in its configuration")
        world.state.withLockedValue { $0.refusals = [refusal] }
        #expect(await world.work())
        var state = world.state.withLockedValue { $0 }
        #expect(state.move.attemptCount == 1 && state.move.note.contains("storage-1"))
        #expect(await world.work())
        state = world.state.withLockedValue { $0 }
        #expect(state.asked.prefix(2) == ["build 1", "build 2"] && world.isPacked)
        #expect(state.move.attemptCount == 0)
    }

    @Test func `another leader ends the work at once`() async {
        let world = MoveWorld(instances: 4)
        world.state.withLockedValue { $0.refusals = [ReplicationError(.staleTerm, "another leads")] }
        #expect(await world.work())
        let state = world.state.withLockedValue { $0 }
        #expect(state.asked == ["build 1"] && state.move.attemptCount == 0 && state.move.state == .underWay)
    }

    @Test func `what is deleted before it is packed is left out`() async {
        let world = MoveWorld(instances: 6)
        // Dies when the packs are planned.
        world.takeOver(stepsLeft: 3)
        #expect(await !world.work())
        world.state.withLockedValue { state in
            for id in state.instances.keys where id.low >= 3 { state.instances[id] = nil }
        }
        world.takeOver()
        #expect(await world.work())
        let counted = world.state.withLockedValue { state in
            state.packs.values.filter { $0.pack.state == .counted }.flatMap(\.records).map(\.low).sorted()
        }
        #expect(counted == [0, 1, 2] && world.isPacked)
    }

    @Test func `of a study that is gone nothing is packed`() async {
        let world = MoveWorld(instances: 0)
        #expect(await world.work())
        #expect(world.state.withLockedValue { $0.move.state == .done && $0.packs.isEmpty })
    }

    // MARK: - Dropping

    private static func dropping(_ instances: UInt64) -> MoveWorld {
        let world = MoveWorld(instances: instances)
        world.state.withLockedValue { $0.move.drops = true }
        return world
    }

    private static func coldCount(_ world: MoveWorld) -> Int {
        world.state.withLockedValue { $0.instances.values.count(where: \.isEmpty) }
    }

    @Test func `copies are dropped when all packs stood and were read again, and not before`() async {
        let world = Self.dropping(10)
        #expect(await world.work())
        #expect(Self.coldCount(world) == 0 && world.isPacked)
        world.takeOver(after: .seconds(61))
        #expect(await world.work())
        #expect(Self.coldCount(world) == 10 && world.state.withLockedValue { $0.move.state } == .done)
        #expect(world.objection(instances: 10) == nil)
    }

    @Test func `whatever dies at whatever step, at no moment the last copy is gone`() async {
        for deadAfter in 1...70 {
            let world = Self.dropping(10)
            world.takeOver(stepsLeft: deadAfter)
            var rounds = 0
            while world.state.withLockedValue({ $0.move.state }) == .underWay, rounds < 60 {
                rounds += 1
                _ = await world.work()
                #expect(world.objection(instances: 10) == nil, "after \(deadAfter) steps, round \(rounds)")
                world.takeOver(after: .seconds(20), stepsLeft: rounds % 2 == 0 ? .max : deadAfter + rounds)
            }
            #expect(world.state.withLockedValue { $0.move.state } == .done, "after \(deadAfter) steps")
            #expect(Self.coldCount(world) == 10, "after \(deadAfter) steps")
        }
    }

    @Test func `a hold keeps the copies, is no failure, and is waited for`() async {
        let world = Self.dropping(6)
        #expect(await world.work())
        world.state.withLockedValue { $0.hold = 7 }
        world.takeOver(after: .seconds(61))
        for _ in 0..<20 { #expect(await world.work()) }
        var move = world.state.withLockedValue { $0.move }
        #expect(move.state == .underWay && move.attemptCount == 0 && move.note.contains("hold 7"))
        #expect(Self.coldCount(world) == 0)
        world.state.withLockedValue { $0.hold = nil }
        #expect(await world.work())
        move = world.state.withLockedValue { $0.move }
        #expect(move.state == .done && Self.coldCount(world) == 6)
    }

    @Test func `a damaged pack of what is nowhere else is kept, and needs a person`() async {
        let world = Self.dropping(4)
        #expect(await world.work())
        world.takeOver(after: .seconds(61))
        #expect(await world.work())
        // Later all packs are read again.
        world.state.withLockedValue { state in
            for id in state.objects.keys { state.objects[id]?.isDamaged = true }
            for id in state.packs.keys { state.packs[id]?.pack.isVerifiedAgain = false }
            state.move.state = .underWay
            state.move.drops = false
        }
        #expect(await world.work())
        let state = world.state.withLockedValue { $0 }
        #expect(state.move.state == .needsPerson && state.move.note.contains("backup"))
        #expect(state.packs.values.allSatisfy { $0.pack.state == .counted })
    }

    @Test func `copies are kept where dropping is not switched on, or was not ordered`() {
        let packs = [MovePlanTests.pack(.counted, verifiedAt: 1, isAgain: true)]
        for (drops, isOn, step) in [
            (false, false, MovePlan.Step.finish), (true, false, .finish), (false, true, .finish), (true, true, .drop),
        ] {
            var move = MovePlanTests.move()
            (move.drops, move.soakLeft) = (drops, .zero)
            #expect(MovePlan.next(move, packs, dropsCopies: isOn) == step)
        }
    }
}
