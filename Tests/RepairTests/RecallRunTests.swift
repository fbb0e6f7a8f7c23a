// SPDX-License-Identifier: Apache-2.0

import Catalog
import NIOConcurrencyHelpers
import Placement
import Repair
import ReplicationProtocol
import Testing

/// Studies come back whatever dies on the way, and nothing that is wrong does.
struct RecallRunTests {
    @Test func `a study comes back from its packs, which are read once for all copies`() async {
        let world = RecallWorld(instances: 10)
        #expect(await world.work())
        let state = world.state.withLockedValue { $0 }
        #expect(state.recall.state == .done && world.objection(least: 3) == nil && world.backCount == 10)
        // Three packs of 4, 4 and 2 records, in batches of three.
        let packs = state.asked.map { $0.split(separator: " ")[1] }
        #expect(packs == ["1", "1", "2", "2", "3"])
        #expect(Set(state.asked.map { $0.split(separator: " ")[2] }).count == 1)
    }

    /// The coordinator, a node or the catalog dies: after what was done, and before it is known.
    @Test func `whatever dies at whatever step, the next goes on and nothing is counted that is not there`() async {
        for deadAfter in 1...70 {
            let world = RecallWorld(instances: 10)
            world.takeOver(stepsLeft: deadAfter)
            var rounds = 0
            while world.state.withLockedValue({ $0.recall.state }) == .underWay, rounds < 60 {
                rounds += 1
                _ = await world.work()
                #expect(world.objection() == nil, "after \(deadAfter) steps, round \(rounds)")
                // Every other one dies as well, a little later each time.
                world.takeOver(stepsLeft: rounds % 2 == 0 ? .max : deadAfter + rounds)
            }
            let state = world.state.withLockedValue { $0.recall.state }
            #expect(state == .done && world.backCount == 10, "after \(deadAfter) steps")
        }
    }

    @Test func `what is damaged in a pack does not come back, all else does, and a person is needed`() async {
        let world = RecallWorld(instances: 10)
        let damaged = world.state.withLockedValue { state -> Set<RecordID> in
            let damaged = Set(state.packs[2]?.prefix(1) ?? [])
            state.damaged[2] = damaged
            return damaged
        }
        #expect(await world.work())
        var state = world.state.withLockedValue { $0 }
        #expect(state.recall.state == .needsPerson && state.recall.note.contains("restore its file from a backup"))
        #expect(state.recall.note.hasPrefix("1 instances"))
        #expect(world.backCount == 9 && world.objection(least: 3) == nil && state.doubted == [2])
        #expect(state.stored.values.allSatisfy { $0.isDisjoint(with: damaged) })
        // Restored from a backup and ordered again.
        world.state.withLockedValue { state in
            state.damaged = [:]
            state.recall.state = .underWay
        }
        #expect(await world.work())
        state = world.state.withLockedValue { $0 }
        #expect(state.recall.state == .done && world.backCount == 10)
    }

    @Test func `what one pack has damaged comes from another`() async {
        let world = RecallWorld(instances: 4)
        world.state.withLockedValue { state in
            state.packs[9] = state.packs[1]
            state.damaged[1] = Set(state.packs[1] ?? [])
        }
        #expect(await world.work())
        #expect(world.state.withLockedValue { $0.recall.state } == .done && world.backCount == 4)
    }

    @Test func `what is in no pack that can be read from needs a person`() async {
        let world = RecallWorld(instances: 5)
        world.state.withLockedValue { $0.packs[2] = nil }
        #expect(await world.work())
        let recall = world.state.withLockedValue { $0.recall }
        #expect(recall.state == .needsPerson && recall.note.contains("no pack") && world.backCount == 4)
    }

    @Test func `another node reads a pack when one can't, and a store that is away is waited for`() async {
        let away = ReplicationError(.unknown, "the store is not mounted")
        let world = RecallWorld(instances: 2)
        world.state.withLockedValue { $0.refusals = [away, ReplicationError(.forbidden, "not in 'cold-stores'")] }
        #expect(await world.work())
        #expect(world.state.withLockedValue { $0.recall.state } == .done)
        #expect(world.state.withLockedValue { Set($0.asked) }.count == 3)

        let lost = RecallWorld(instances: 2)
        lost.state.withLockedValue { $0.refusals = [ReplicationError](repeating: away, count: 1000) }
        for attempt in 1...12 {
            #expect(await lost.work())
            let state = lost.state.withLockedValue { $0 }
            #expect(state.recall.attemptCount == attempt)
            #expect(state.recall.state == (attempt < 12 ? .underWay : .needsPerson), "attempt \(attempt)")
            if attempt == 2 { #expect(state.pause == .seconds(20) && state.recall.note.contains("not mounted")) }
        }
    }

    @Test func `as many copies as a store waits for are enough, fewer are not counted`() async {
        let full = ReplicationError(.diskFull, "full")
        let world = RecallWorld(instances: 2)
        // One of two others takes nothing.
        #expect(await world.work(answering: Array(RecallWorld.nodes.prefix(2))))
        #expect(world.state.withLockedValue { $0.recall.state } == .done && world.objection() == nil)
        let alone = RecallWorld(instances: 2)
        #expect(await alone.work(answering: Array(RecallWorld.nodes.prefix(1))))
        #expect(alone.state.withLockedValue { $0.recall.note.contains("only 1 of the 2") } && alone.backCount == 0)
        let refused = RecallWorld(instances: 2)
        refused.state.withLockedValue { $0.fetchRefusals = [ReplicationError](repeating: full, count: 1000) }
        #expect(await refused.work())
        #expect(refused.backCount == 0 && refused.state.withLockedValue { $0.recall.attemptCount } == 1)
        let single = RecallWorld(instances: 2)
        #expect(await single.work(copies: 1))
        #expect(single.state.withLockedValue { $0.recall.state } == .done && single.objection(least: 1) == nil)
    }

    @Test func `a copy that its node may be dropping yet is not counted, and the others do without`() async {
        let world = RecallWorld(instances: 3)
        let records = world.state.withLockedValue { $0.instances.keys.sorted() }
        world.state.withLockedValue { state in
            for record in records { state.dropping[record] = RecallWorld.nodes }
        }
        #expect(await world.work())
        var state = world.state.withLockedValue { $0 }
        #expect(state.asked.isEmpty && state.recall.attemptCount == 1 && state.pause == .seconds(2))
        // The third says later that they are gone.
        world.state.withLockedValue { state in
            for record in records { state.dropping[record] = [RecallWorld.nodes[2]] }
        }
        #expect(await world.work())
        state = world.state.withLockedValue { $0 }
        #expect(state.recall.state == .done && world.objection() == nil)
        #expect(state.stored[RecallWorld.nodes[2]] == nil)
    }

    @Test func `others stand in for nodes that do not say for long that a copy is gone`() async throws {
        let all = RecallWorld.allNodes
        let world = RecallWorld(instances: 3)
        let records = world.state.withLockedValue { $0.instances.keys.sorted() }
        let group = try #require(records.first?.group)
        // Told to hold their copies, the wanted nodes refuse to drop them.
        let holders = RecallWorld.map(all).holders(of: group, copies: 2)
        world.state.withLockedValue { state in
            for record in records { state.dropping[record] = holders }
        }
        let limits = RecallLimits()
        for settling in 1...limits.settlings {
            #expect(await world.work(copies: 2, answering: all, members: all))
            let state = world.state.withLockedValue { $0 }
            #expect(state.asked.isEmpty && state.recall.attemptCount == settling && state.pause == limits.settlingPause)
        }
        #expect(await world.work(copies: 2, answering: all, members: all))
        let state = world.state.withLockedValue { $0 }
        #expect(state.recall.state == .done && world.objection() == nil)
        #expect(holders.allSatisfy { state.stored[$0] == nil })

        // Where there are no others it goes on waiting, and needs no person.
        let small = RecallWorld(instances: 3)
        small.state.withLockedValue { state in
            for record in records { state.dropping[record] = RecallWorld.nodes }
        }
        for _ in 0..<30 { #expect(await small.work()) }
        let left = small.state.withLockedValue { $0.recall }
        #expect(left.state == .underWay && left.attemptCount == limits.settlings && small.backCount == 0)
    }

    @Test func `a recall that was ended, or gives way, stops`() async {
        let ended = RecallWorld(instances: 8)
        ended.takeOver(stepsLeft: 20)
        _ = await ended.work()
        ended.takeOver()
        ended.state.withLockedValue { $0.recall.state = .done }
        #expect(await ended.work())
        #expect(ended.backCount < 8 && ended.objection() == nil)
        let world = RecallWorld(instances: 8)
        world.state.withLockedValue { $0.givesWay = true }
        #expect(await world.work())
        let state = world.state.withLockedValue { $0 }
        #expect(state.asked.isEmpty && state.recall.state == .underWay && state.recall.attemptCount == 0)
    }

    @Test func `a medium that is not at hand is waited for without a failure, and it goes on when it is back`() async {
        let world = RecallWorld(instances: 10)
        world.state.withLockedValue { $0.offline = [2, 3] }
        for _ in 1...20 {
            #expect(await world.work())
            let state = world.state.withLockedValue { $0 }
            #expect(state.recall.state == .underWay && state.recall.attemptCount == 0 && state.doubted.isEmpty)
            #expect(state.waitsFor == [2, 3] && state.knownOffline == [2, 3])
            #expect(state.recall.note.hasPrefix("6 instances") && state.recall.note.contains("not mounted"))
        }
        // What is at hand has come back meanwhile.
        #expect(world.backCount == 4)
        world.state.withLockedValue { $0.offline = [] }
        #expect(await world.work())
        let state = world.state.withLockedValue { $0 }
        #expect(state.recall.state == .done && world.backCount == 10 && state.knownOffline.isEmpty)
    }

    @Test func `another pack is read when the medium of one is missing`() async {
        let world = RecallWorld(instances: 4)
        world.state.withLockedValue { state in
            state.packs[9] = state.packs[1]
            state.offline = [1]
        }
        #expect(await world.work())
        #expect(world.state.withLockedValue { $0.recall.state } == .done && world.backCount == 4)
    }

    @Test func `what is damaged beside a missing medium needs a person when that is back, not before`() async {
        let world = RecallWorld(instances: 8)
        world.state.withLockedValue { state in
            state.damaged[1] = Set(state.packs[1]?.prefix(1) ?? [])
            state.offline = [2]
        }
        #expect(await world.work())
        #expect(world.state.withLockedValue { $0.waitsFor == [2] && $0.recall.state == .underWay })
        world.state.withLockedValue { $0.offline = [] }
        #expect(await world.work())
        #expect(world.state.withLockedValue { $0.recall.state } == .needsPerson && world.backCount == 7)
    }

    @Test func `a pack in an archive class is asked to be restored, one in a directory is not`() async {
        for (place, restoring) in [
            ("s3+https://h/abc", "s3+https://h/abc?restore=yes"),
            ("s3+https://h/abc?region=x", "s3+https://h/abc?region=x&restore=yes"), ("file:///cold", nil),
        ] {
            let world = RecallWorld(instances: 1)
            world.state.withLockedValue { state in
                state.place = place
                state.offline = [1]
            }
            #expect(await world.work())
            let places = world.state.withLockedValue { Set($0.places) }
            #expect(places == Set([place, restoring].compactMap(\.self)))
        }
    }
}
