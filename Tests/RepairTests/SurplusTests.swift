// SPDX-License-Identifier: Apache-2.0

import Catalog
import NIOConcurrencyHelpers
import NIOCore
import Placement
import Reconciliation
import Repair
import ReplicationProtocol
import Testing

@Suite struct SurplusTests {
    /// Every instance has as many whole copies as wanted among those that are counted.
    private func expectSafe(_ world: SurplusWorld, _ records: [RecordID], copies: Int = 2, _ what: Comment = "") {
        for record in records {
            let good = Set(world.counted(record)).intersection(world.whole(record))
            #expect(good.count >= copies, what)
        }
    }

    private func log(_ world: SurplusWorld) -> [String] { world.state.withLockedValue { $0.log } }

    @Test func `what is surplus is dropped, and what is wanted stays`() async {
        let world = SurplusWorld(nodes: 4)
        let records = SurplusScene.store(world, 300, extra: 2)
        let scene = SurplusScene(world)
        #expect(await scene.run() == nil)
        for record in records {
            #expect(world.counted(record).count == 2 && world.whole(record) == world.counted(record))
        }
        #expect(world.state.withLockedValue { $0.unconfirmed.isEmpty && $0.putOff.isEmpty })
        #expect(scene.dropper.progress.itemCount == 600 && scene.dropper.progress.byteCount == 600_000)
        #expect(scene.plan.nodes.isEmpty)
    }

    @Test func `the copies that stay are read, then the catalog changes, then the node is told`() async throws {
        let world = SurplusWorld(nodes: 3)
        _ = SurplusScene.store(world, 1)
        #expect(await SurplusScene(world).run(rounds: 1) == nil)
        let steps = log(world)
        let surplus = try #require(steps.first { $0.hasPrefix("drop ") }).dropFirst(5)
        let keepers = world.ids.map { "storage-\($0.low)" }.filter { $0 != surplus }
        let begin = try #require(steps.firstIndex(of: "begin"))
        let drop = try #require(steps.firstIndex(of: "drop \(surplus)"))
        let finish = try #require(steps.firstIndex(of: "finish"))
        #expect(begin < drop && drop < finish)
        for keeper in keepers {
            let verify = try #require(steps.firstIndex(of: "verify \(keeper)"))
            #expect(verify < begin)
        }
        #expect(!steps.contains("verify \(surplus)"))
    }

    enum Doubt: CaseIterable {
        case damaged, absent, away, unknownHold
    }

    @Test(arguments: Doubt.allCases)
    func `any doubt about a copy that stays keeps the surplus one`(doubt: Doubt) async throws {
        let world = SurplusWorld(nodes: 3)
        let records = SurplusScene.store(world, 12)
        let doubtful = records[5]
        let wanted = SurplusScene.map(world).holders(of: doubtful.group, copies: 2)
        let surplus = try #require(world.ids.first { !wanted.contains($0) })
        world.state.withLockedValue { state in
            switch doubt {
            case .damaged: state.nodes[wanted[1]]?.damaged.insert(doubtful)
            case .absent: state.nodes[wanted[1]]?.records.remove(doubtful)
            case .away: state.nodes[wanted[1]]?.isAway = true
            case .unknownHold:
                state.nodes[surplus]?.amendments[doubtful] = [Self.hold(of: doubtful)]
                state.nodes[wanted[0]]?.amendments[doubtful] = [Self.hold(of: doubtful)]
            }
        }
        let scene = SurplusScene(world)
        #expect(await scene.run() == nil)
        #expect(world.whole(doubtful).contains(surplus))
        #expect(world.counted(doubtful).contains(surplus))
        let others = records.filter { $0 != doubtful && world.whole($0).count == 2 }
        if doubt == .away {
            // Nothing of a set is dropped while one of its nodes is away.
            for record in records where SurplusScene.map(world).holders(of: record.group, copies: 2).contains(wanted[1])
            {
                #expect(world.whole(record).count == 3)
            }
        } else {
            #expect(others.count == 11)
            let note = try #require(world.state.withLockedValue { $0.putOff[doubtful] })
            #expect(note.attemptCount == (doubt == .unknownHold ? 0 : note.attemptCount) && !note.note.isEmpty)
        }
        guard doubt == .unknownHold else { return }
        // Once the other knows of it, too, the copy is not needed for it.
        world.state.withLockedValue { state in
            state.nodes[wanted[1]]?.amendments[doubtful] = [Self.hold(of: doubtful)]
        }
        #expect(await scene.run() == nil)
        #expect(world.whole(doubtful) == wanted.sorted())
    }

    private static func hold(of record: RecordID) -> RecordAmendment {
        RecordAmendment(
            recordID: record,
            kind: .hold,
            order: RecordAmendment.Order(term: Term(rawValue: 3), sequence: 8),
            reference: ReferenceID(high: 0, low: 1),
            issuedAtMilliseconds: 1,
            payload: ByteBuffer()
        )
    }

    @Test func `a node that is not sure of itself drops nothing, and its copies are counted again`() async throws {
        let world = SurplusWorld(nodes: 3)
        let records = SurplusScene.store(world, 8)
        for id in world.ids { world.state.withLockedValue { $0.nodes[id]?.isUncertain = true } }
        let scene = SurplusScene(world)
        #expect(await scene.run() == nil)
        #expect(await scene.dropper.run(while: { false }).obstacle == nil)
        for record in records { #expect(world.whole(record).count == 3 && world.counted(record).count == 3) }
        #expect(world.state.withLockedValue { $0.unconfirmed.isEmpty })
    }

    @Test func `an answer that is lost is asked for, whatever it was`() async throws {
        let world = SurplusWorld(nodes: 3)
        let records = SurplusScene.store(world, 8)
        for id in world.ids { world.state.withLockedValue { $0.nodes[id]?.losesAnswers = true } }
        let scene = SurplusScene(world)
        #expect(await scene.run() == nil)
        #expect(await scene.dropper.run(while: { false }).obstacle == nil)
        for record in records {
            #expect(world.whole(record).count == 2 && world.counted(record) == world.whole(record))
        }
        #expect(world.state.withLockedValue { $0.unconfirmed.isEmpty })
    }

    @Test func `an order that comes late does not take a copy that is counted again`() async throws {
        let world = SurplusWorld(nodes: 3)
        let records = SurplusScene.store(world, 8)
        for id in world.ids { world.state.withLockedValue { $0.nodes[id]?.delays = true } }
        let scene = SurplusScene(world)
        #expect(await scene.run() == nil)
        #expect(await scene.dropper.run(while: { false }).obstacle == nil)
        for record in records { #expect(world.counted(record).count == 3) }
        world.state.withLockedValue { state in
            for id in world.ids {
                guard var node = state.nodes[id] else { continue }
                for (items, stamp, sequence) in node.delayed {
                    _ = SurplusTestPeer.carryOut(items, stamp, sequence, &node)
                }
                #expect(!node.delayed.isEmpty || node.records.count < 8)
                state.nodes[id] = node
            }
        }
        for record in records { #expect(world.whole(record).count == 3) }
    }

    @Test func `a node that goes away while copies are read keeps what was found whole before`() async {
        for reads in 1...16 {
            let world = SurplusWorld(nodes: 3)
            let records = (1...8).compactMap { RecordID(high: 0, low: UInt64($0)) }
            for record in records { world.store(record, on: world.ids) }
            world.state.withLockedValue { $0.readsUntilAway = reads }
            #expect(await SurplusScene(world).run(rounds: 1) == nil)
            for record in records { #expect(world.whole(record).count == 3 && world.counted(record).count == 3) }
        }
    }

    @Test func `no more is read at once than takes some minutes`() async {
        let world = SurplusWorld(nodes: 3)
        let records = (1...40).compactMap { RecordID(high: 0, low: UInt64($0)) }
        for record in records { world.store(record, on: world.ids) }
        world.state.withLockedValue { $0.byteCount = 100 << 20 }
        #expect(await SurplusScene(world).run(rounds: 1) == nil)
        for record in records { #expect(world.whole(record).count == 2) }
        #expect(log(world).count { $0 == "begin" } == 20)
    }

    @Test func `copying comes first`() async {
        let world = SurplusWorld(nodes: 3)
        let records = SurplusScene.store(world, 8)
        #expect(await SurplusScene(world).run(while: { false }) == nil)
        for record in records { #expect(world.whole(record).count == 3) }
    }

    @Test func `whoever is no longer in office drops nothing`() async {
        let world = SurplusWorld(nodes: 3)
        let records = SurplusScene.store(world, 8)
        for id in world.ids { world.state.withLockedValue { $0.nodes[id]?.term = Term(rawValue: 6) } }
        #expect(await SurplusScene(world).run(rounds: 1) == .staleTerm)
        for record in records { #expect(world.whole(record).count == 3) }
        // The next one counts what was not dropped, and goes on.
        world.state.withLockedValue { $0.term = Term(rawValue: 6) }
        #expect(await SurplusScene(world).run() == nil)
        for record in records {
            #expect(world.whole(record).count == 2 && world.counted(record) == world.whole(record))
        }
    }

    /// The coordinator dies after each of its steps; the next one of a higher term goes on.
    @Test func `a death after any step loses no copy, and in the end all surplus is gone`() async {
        var steps = 0
        while true {
            let world = SurplusWorld(nodes: 4)
            let records = SurplusScene.store(world, 12, extra: 2)
            world.state.withLockedValue { $0.stepsLeft = steps }
            _ = await SurplusScene(world).run(rounds: 3)
            let wasKilled = world.state.withLockedValue { $0.stepsLeft == 0 }
            expectSafe(world, records, "died after \(steps) steps")
            world.state.withLockedValue { state in
                state.stepsLeft = .max
                state.term = Term(rawValue: 6)
                // What was put off because the process died is due again.
                state.putOff = [:]
            }
            #expect(await SurplusScene(world).run(rounds: 4) == nil)
            expectSafe(world, records, "after \(steps) steps and a takeover")
            for record in records {
                #expect(world.whole(record).count == 2 && world.counted(record) == world.whole(record))
            }
            #expect(world.state.withLockedValue { $0.unconfirmed.isEmpty })
            guard wasKilled else { break }
            steps += 1
        }
        #expect(steps > 40)
    }
}
