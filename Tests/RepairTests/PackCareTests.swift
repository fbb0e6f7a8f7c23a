// SPDX-License-Identifier: Apache-2.0

import Catalog
import NIOConcurrencyHelpers
import Placement
import Repair
import ReplicationProtocol
import Testing

struct PackCareTests {
    // MARK: Readings

    @Test func `a pack is read by another node than its writer, and is sound`() async {
        let world = PackCareWorld(packs: 1)
        #expect(await world.read())
        let (asked, ended) = world.state.withLockedValue { ($0.asked, $0.ended[1]) }
        #expect(asked == ["verify 1 by 2"])
        #expect(ended?.failure == "" && ended?.isDamaged == false && ended?.by == PackCareWorld.nodes[1])
        // By its writer when no other answers.
        let alone = PackCareWorld(packs: 1)
        alone.state.withLockedValue { $0.away = [2, 3] }
        #expect(await alone.read())
        #expect(alone.state.withLockedValue { $0.asked } == ["verify 1 by 1"])
    }

    @Test func `damage is said at once, absence when three say so or the writer does`() async {
        let rotten = PackCareWorld(packs: 1)
        rotten.state.withLockedValue { $0.refusals[2] = ReplicationError(.corrupt, "byte 7") }
        #expect(await rotten.read())
        let damage = rotten.state.withLockedValue { $0.ended[1] }
        #expect(damage?.isDamaged == true && damage?.failure.contains("byte 7") == true)

        let gone = PackCareWorld(packs: 1)
        gone.state.withLockedValue { $0.objects = [] }
        for _ in 1...2 {
            #expect(await gone.read())
            #expect(gone.state.withLockedValue { $0.ended.isEmpty })
        }
        #expect(await gone.read())
        #expect(gone.state.withLockedValue { $0.ended[1]?.isDamaged } == true)

        let byWriter = PackCareWorld(packs: 1)
        byWriter.state.withLockedValue {
            $0.objects = []
            $0.away = [2, 3]
        }
        #expect(await byWriter.read())
        #expect(byWriter.state.withLockedValue { $0.ended[1]?.isDamaged } == true)
    }

    @Test func `a pack on a medium that is not at hand is neither proven nor in doubt`() async {
        let world = PackCareWorld(packs: 1)
        world.state.withLockedValue { $0.refusals[2] = ReplicationError(.offline, "not mounted") }
        #expect(await world.read())
        let (ended, offline) = world.state.withLockedValue { ($0.ended[1], $0.offline) }
        #expect(ended?.isDamaged == false && ended?.failure.contains("not mounted") == true && offline == [1])
    }

    @Test(arguments: [ReplicationError.Code.unknown, .forbidden, .diskFailed, .connectionLost])
    func `a store that is out of reach is tried three times, and says nothing of the pack`(
        code: ReplicationError.Code
    ) async {
        let world = PackCareWorld(packs: 1)
        world.state.withLockedValue { state in
            for node: UInt64 in 1...3 { state.refusals[node] = ReplicationError(code, "not mounted") }
        }
        for attempt in 1...3 {
            #expect(await world.read())
            #expect(world.state.withLockedValue { $0.ended.isEmpty } == (attempt < 3))
        }
        let (asked, ended) = world.state.withLockedValue { ($0.asked, $0.ended[1]) }
        #expect(asked == ["verify 1 by 2", "verify 1 by 3", "verify 1 by 1"])
        #expect(ended?.isDamaged == false && ended?.failure.contains("not mounted") == true)
    }

    @Test func `without nodes a reading ends after a while, and a deposed coordinator's changes nothing`() async {
        let world = PackCareWorld(packs: 1)
        world.state.withLockedValue { $0.away = [1, 2, 3] }
        for _ in 1...3 { #expect(await world.read()) }
        #expect(world.state.withLockedValue { $0.ended[1]?.failure.contains("no storage node") } == true)

        let deposed = PackCareWorld(packs: 1)
        deposed.state.withLockedValue { $0.refusals[2] = ReplicationError(.staleTerm, "a higher term was seen") }
        #expect(await deposed.read())
        #expect(deposed.state.withLockedValue { $0.ended.isEmpty && $0.attempts == [1: 0] })
    }

    @Test func `whoever dies at any step, every pack is read in the end`() async {
        for steps in 1...12 {
            let world = PackCareWorld(packs: 3)
            world.state.withLockedValue { $0.stepsLeft = steps }
            _ = await world.read()
            world.takeOver()
            #expect(await world.read())
            let ended = world.state.withLockedValue { $0.ended }
            #expect(ended.count == 3 && ended.values.allSatisfy { $0.failure.isEmpty }, "\(steps)")
        }
    }

    // MARK: Removals

    @Test func `a pack goes by whichever node can remove it`() async {
        let world = PackCareWorld(packs: 2)
        world.state.withLockedValue { state in
            state.wanted = [2]
            state.refusals[1] = ReplicationError(.forbidden, "not told to use it")
        }
        #expect(await world.remove())
        let (asked, objects, life) = world.state.withLockedValue { ($0.asked, $0.objects, $0.packs.mapValues(\.life)) }
        #expect(asked == ["remove 1 by 1", "remove 1 by 2"])
        #expect(objects == [2] && life == [1: .removed, 2: .counted])
    }

    @Test func `what can't be removed now is said, and tried again`() async {
        let world = PackCareWorld(packs: 1)
        world.state.withLockedValue { state in
            for node: UInt64 in 1...3 { state.refusals[node] = ReplicationError(.unknown, "not mounted") }
        }
        #expect(await world.remove())
        let (notes, life) = world.state.withLockedValue { ($0.notes, $0.packs[1]?.life) }
        #expect(notes.count == 1 && notes[0].contains("storage-3") && life == .beingRemoved)
        world.state.withLockedValue { state in
            state.refusals = [:]
            // Too late: nobody has read from it since.
            state.wanted = [1]
        }
        #expect(await world.remove())
        #expect(world.state.withLockedValue { $0.packs[1]?.life == .removed && $0.objects.isEmpty })
    }

    @Test func `a mark goes when the pack is wanted again`() async {
        let world = PackCareWorld(packs: 1)
        world.state.withLockedValue { state in
            state.packs[1]?.life = .marked
            state.wanted = [1]
        }
        #expect(await world.remove())
        #expect(world.state.withLockedValue { $0.packs[1]?.life == .counted && $0.objects == [1] && $0.asked.isEmpty })
    }

    @Test func `whoever dies at any step, what is to go is gone and nothing else is`() async {
        for steps in 1...15 {
            let world = PackCareWorld(packs: 4)
            world.state.withLockedValue { state in
                state.wanted = [2]
                state.rewrites = 2
                state.repackings = 2
                state.stepsLeft = steps
            }
            _ = await world.remove()
            let isSafe = world.state.withLockedValue { state in
                // An object is gone only of what the catalog does not read from any more.
                state.packs.allSatisfy { low, entry in
                    state.objects.contains(low) || entry.life == .beingRemoved || entry.life == .removed
                }
            }
            #expect(isSafe, "\(steps)")
            world.takeOver()
            #expect(await world.remove())
            #expect(world.state.withLockedValue { $0.repackings == 0 && $0.rewrites == 0 }, "\(steps)")
            let (objects, life) = world.state.withLockedValue { ($0.objects, $0.packs.mapValues(\.life)) }
            #expect(objects == [2], "\(steps)")
            #expect(life == [1: .removed, 2: .counted, 3: .removed, 4: .removed], "\(steps)")
        }
    }

    @Test func `a node that knows of another coordinator ends it`() async {
        let world = PackCareWorld(packs: 2)
        world.state.withLockedValue { $0.refusals[1] = ReplicationError(.staleTerm, "a higher term was seen") }
        let isDone = await world.remove()
        #expect(!isDone)
        #expect(world.state.withLockedValue { $0.asked.count == 1 && $0.objects.count == 2 })
    }
}
