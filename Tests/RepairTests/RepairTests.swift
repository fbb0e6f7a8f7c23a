// SPDX-License-Identifier: Apache-2.0

import Catalog
import NIOConcurrencyHelpers
import Placement
import Reconciliation
import Repair
import ReplicationProtocol
import Testing

@Suite struct RepairTests {
    private func loseNode(_ scene: RepairScene, _ index: Int) {
        scene.nodes[index].state.withLockedValue { $0.isAway = true }
        scene.look(version: index + 100)
    }

    @Test func `what a lost node had is copied to others, and counted`() async {
        let scene = RepairScene()
        let records = scene.store(1500)
        #expect(await scene.repair() == nil)
        #expect(scene.ledger.state.withLockedValue { $0.countedCount } == 0, "nothing is to be done")
        loseNode(scene, 1)
        let lost = scene.incomplete(records).count
        #expect(lost > 500)
        #expect(await scene.repair() == nil)
        #expect(scene.incomplete(records).isEmpty)
        #expect(scene.ledger.state.withLockedValue { $0.countedCount } == lost)
        #expect(scene.ledger.state.withLockedValue { $0.items.isEmpty && $0.backlog.isEmpty })
        #expect(scene.executor.progress.itemCount == lost)
        #expect(scene.executor.progress.byteCount == Int64(lost) * 1000)
        for node in scene.nodes {
            #expect(node.state.withLockedValue { $0.mostRunning } <= 4, "two given, two taken: none is said to be idle")
        }
        // It comes back with what it had: nothing is copied again.
        scene.nodes[1].state.withLockedValue { $0.isAway = false }
        scene.look(version: 7)
        #expect(await scene.repair() == nil)
        #expect(scene.ledger.state.withLockedValue { $0.countedCount } == lost)
    }

    @Test(arguments: 5...7)
    func `one look is enough for all of a survey, whatever its sets have`(groups: Int) async {
        let scene = RepairScene()
        let records = scene.store(3000, groups: groups)
        loseNode(scene, 1)
        guard let view = scene.view.withLockedValue({ $0 }) else { return }
        do throws(RepairObstacle) {
            scene.plan.replace(try await RepairSurvey(ledger: scene.ledger, copies: 3).run(view))
        } catch {
            Issue.record("\(error)")
        }
        let (_, obstacle) = await scene.executor.drain()
        #expect(obstacle == nil)
        #expect(scene.incomplete(records).isEmpty, "nothing waits for the next second")
    }

    @Test func `what has the fewest copies left comes first, also when it was lost last`() async {
        let scene = RepairScene(nodes: 6)
        let records = scene.store(6000, groups: 60)
        loseNode(scene, 0)
        // The queue is full of what has two copies left when another node is lost.
        guard let view = scene.view.withLockedValue({ $0 }) else { return }
        do throws(RepairObstacle) {
            scene.plan.replace(try await RepairSurvey(ledger: scene.ledger, copies: 3).run(view))
            for _ in 0..<2 { _ = try await scene.plan.fill(scene.ledger, term: view.stamp.term) }
        } catch {
            Issue.record("\(error)")
        }
        loseNode(scene, 1)
        #expect(await scene.repair() == nil)
        #expect(scene.incomplete(records).isEmpty)
        let order = scene.ledger.state.withLockedValue { $0.countedLiving }
        let urgentCount = order.count { $0 == 1 }
        #expect(urgentCount >= 600)
        // But for a batch or two that were in hand.
        #expect(order.prefix(urgentCount).count { $0 != 1 } <= 512)
        #expect(order.prefix(128).allSatisfy { $0 == 1 })
    }

    @Test func `many sources and targets work at the same time`() async {
        let scene = RepairScene(nodes: 6)
        _ = scene.store(3000, groups: 60)
        loseNode(scene, 0)
        #expect(await scene.repair() == nil)
        let busy = scene.nodes.dropFirst().map { $0.state.withLockedValue { $0.mostRunning } }
        #expect(busy.allSatisfy { $0 > 1 && $0 <= 4 }, "\(busy)")
    }

    @Test func `another source is asked when the first does not have it whole`() async {
        let scene = RepairScene()
        let records = scene.store(60, groups: 4)
        loseNode(scene, 0)
        let left = scene.nodes.dropFirst()
        for (index, record) in records.enumerated() {
            let holders = left.filter { $0.state.withLockedValue { $0.records.contains(record) } }
            guard holders.count == 2 else { continue }
            holders[index % 2].state.withLockedValue { state in
                if index % 4 < 2 { state.damaged.insert(record) } else { state.records.remove(record) }
            }
        }
        #expect(await scene.repair() == nil)
        let counted = records.filter { scene.ledger.nodes(of: $0)?.count == 4 }
        #expect(counted.count == records.count { scene.ledger.nodes(of: $0)?.contains(scene.nodes[0].id) == true })
        #expect(scene.ledger.state.withLockedValue { $0.items.isEmpty })
    }

    @Test func `what no node gives is tried again, later and later, and then needs a person`() async throws {
        let scene = RepairScene()
        let records = scene.store(12, groups: 1)
        let broken = records[5]
        loseNode(scene, scene.nodes.firstIndex { $0.id == scene.ledger.nodes(of: broken)?.first } ?? 0)
        for node in scene.nodes { node.state.withLockedValue { _ = $0.records.remove(broken) } }
        for attempt in 1...7 {
            #expect(await scene.repair() == nil)
            let item = try #require(scene.ledger.state.withLockedValue { $0.items[broken] })
            #expect(item.state == 1 && item.attempts == attempt)
            #expect(item.note.contains("the source does not have the record"))
            #expect(await scene.repair() == nil)
            #expect(
                scene.ledger.state.withLockedValue { $0.items[broken]?.attempts } == attempt,
                "not before it is due"
            )
            scene.ledger.state.withLockedValue { $0.clock = $0.items[broken]?.due ?? $0.clock }
        }
        #expect(await scene.repair() == nil)
        #expect(scene.ledger.state.withLockedValue { $0.items[broken]?.state } == 3)
        scene.ledger.state.withLockedValue { $0.clock += .seconds(1 << 20) }
        #expect(await scene.repair() == nil)
        #expect(scene.ledger.state.withLockedValue { $0.items[broken]?.attempts } == 8)
        // The others are not kept by it.
        #expect(scene.incomplete(records) == [broken])
    }

    @Test func `what is full or away counts for no attempt`() async throws {
        let scene = RepairScene(nodes: 4)
        let records = scene.store(8, groups: 1)
        loseNode(scene, scene.nodes.firstIndex { $0.id == scene.ledger.nodes(of: records[0])?.first } ?? 0)
        let target = try #require(
            scene.nodes.first { node in
                node.state.withLockedValue { !$0.isAway }
                    && scene.ledger.nodes(of: records[0])?.contains(node.id) == false
            }
        )
        // The coordinator does not know yet.
        target.state.withLockedValue { $0.isFull = true }
        for _ in 0..<3 {
            #expect(await scene.repair() == nil)
            scene.ledger.state.withLockedValue { state in
                #expect(state.items.values.allSatisfy { $0.state == 1 && $0.attempts == 0 && $0.note.contains("full") })
                state.clock += .seconds(60)
            }
        }
        target.state.withLockedValue { $0.isFull = false }
        #expect(await scene.repair() == nil)
        #expect(scene.incomplete(records).isEmpty)
    }

    @Test func `what was deleted is not brought back`() async {
        let scene = RepairScene()
        let records = scene.store(40)
        loseNode(scene, 2)
        guard let view = scene.view.withLockedValue({ $0 }) else { return }
        // Entered into the queue, then deleted: from the catalog, or from the nodes only so far.
        do throws(RepairObstacle) {
            scene.plan.replace(try await RepairSurvey(ledger: scene.ledger, copies: 3).run(view))
            _ = try await scene.plan.fill(scene.ledger, term: view.stamp.term)
        } catch {
            Issue.record("\(error)")
        }
        let queued = scene.ledger.state.withLockedValue { $0.items.keys.sorted() }
        #expect(queued.count > 4)
        scene.ledger.state.withLockedValue { state in
            for record in queued.prefix(2) { state.instances[record] = nil }
        }
        for node in scene.nodes {
            node.state.withLockedValue { state in
                state.deleted.formUnion(queued.prefix(4))
                state.records.subtract(queued.prefix(4))
            }
        }
        let (_, obstacle) = await scene.executor.drain()
        #expect(obstacle == nil)
        for node in scene.nodes {
            #expect(node.state.withLockedValue { $0.records.isDisjoint(with: queued.prefix(4)) })
        }
        #expect(scene.ledger.state.withLockedValue { Set($0.items.keys) } == Set(queued[2..<4]))
        #expect(scene.incomplete(records).allSatisfy { queued.prefix(4).contains($0) })
    }

    @Test func `a coordinator may die between any two steps, and the next goes on`() async {
        for failsIn in [0, 1, 2, 3, 4, 5, 6, 8, 10] {
            let scene = RepairScene()
            let records = scene.store(300)
            loseNode(scene, 3)
            scene.ledger.state.withLockedValue { $0.failsIn = failsIn }
            let obstacle = await scene.repair()
            if failsIn < 4 { #expect(obstacle == .catalog("catalog: unavailable: away")) }
            let made = scene.nodes.reduce(0) { $0 + $1.state.withLockedValue { $0.fetchCount } }
            // Another takes over; it finds what was made and not counted.
            scene.ledger.state.withLockedValue { state in
                state.failsIn = .max
                state.term = Term(rawValue: 6)
            }
            scene.look(version: 2)
            #expect(await scene.repair() == nil)
            #expect(scene.incomplete(records).isEmpty)
            #expect(scene.ledger.state.withLockedValue { $0.items.isEmpty })
            let all = scene.nodes.reduce(0) { $0 + $1.state.withLockedValue { $0.fetchCount } }
            #expect(all == scene.ledger.state.withLockedValue { $0.countedCount }, "nothing is fetched twice (\(made))")
        }
    }

    @Test func `a coordinator whose term is over stops`() async {
        let scene = RepairScene()
        let records = scene.store(200)
        loseNode(scene, 0)
        // By the catalog's word, and by the nodes'.
        scene.ledger.state.withLockedValue { $0.term = Term(rawValue: 9) }
        #expect(await scene.repair() == .staleTerm)
        scene.ledger.state.withLockedValue { $0.term = Term(rawValue: 5) }
        for node in scene.nodes { node.state.withLockedValue { $0.term = Term(rawValue: 9) } }
        #expect(await scene.repair() == .staleTerm)
        #expect(scene.ledger.state.withLockedValue { $0.countedCount } == 0)
        #expect(!scene.incomplete(records).isEmpty)
        scene.view.withLockedValue { $0 = nil }
        let (count, obstacle) = await scene.executor.drain()
        #expect(count == 0 && obstacle == nil)
    }

    @Test func `nodes die and come back while copies are made`() async {
        let scene = RepairScene(nodes: 7)
        let records = scene.store(600, groups: 64)
        loseNode(scene, 0)
        async let repairing = scene.repair()
        // Behind the coordinator's back: a source or target of much.
        scene.nodes[1].state.withLockedValue { $0.isAway = true }
        #expect(await repairing == nil)
        #expect(scene.ledger.state.withLockedValue { $0.items.values.allSatisfy { $0.state < 3 } })
        scene.look(version: 3)
        scene.ledger.state.withLockedValue { $0.clock += .seconds(3600) }
        #expect(await scene.repair(rounds: 12) == nil)
        #expect(scene.incomplete(records).isEmpty)
        #expect(scene.ledger.state.withLockedValue { $0.items.isEmpty })
    }
}
