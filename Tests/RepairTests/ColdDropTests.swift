// SPDX-License-Identifier: Apache-2.0

import Catalog
import NIOConcurrencyHelpers
import Placement
import Repair
import ReplicationProtocol
import Testing

/// Copies of what is in cold packs only: dropped as long as a pack proves them, and kept and counted when none does.
@Suite struct ColdDropTests {
    /// A record that nodes 1 and 2 have, is counted on none, and which both are to drop.
    private static func scene(packed: Bool = true, proven: Bool = true) throws -> (SurplusWorld, SurplusScene, RecordID)
    {
        let world = SurplusWorld(nodes: 3)
        let record = try #require(RecordID(high: 0, low: 1))
        world.store(record, on: Array(world.ids.prefix(2)))
        world.state.withLockedValue { state in
            state.instances[record] = SurplusWorld.number(of: [], &state)
            state.unconfirmed[record] = Array(world.ids.prefix(2))
            if packed { state.packed = [record] }
            if proven { state.proven = [record] }
        }
        return (world, SurplusScene(world), record)
    }

    private static func run(_ scene: SurplusScene) async -> RepairObstacle? {
        await scene.dropper.run { false }.obstacle
    }

    @Test func `what a pack proves is dropped by all who have it`() async throws {
        let (world, scene, record) = try Self.scene()
        #expect(await Self.run(scene) == nil)
        #expect(world.whole(record).isEmpty && world.counted(record).isEmpty)
        #expect(world.state.withLockedValue { $0.unconfirmed.isEmpty && $0.putOff.isEmpty })
        // A node that is away is told when it is back.
        let (other, late, second) = try Self.scene()
        other.state.withLockedValue { $0.nodes[other.ids[1]]?.isAway = true }
        #expect(await Self.run(late) == nil)
        #expect(other.state.withLockedValue { $0.unconfirmed[second] } == [other.ids[1]])
        other.state.withLockedValue { $0.nodes[other.ids[1]]?.isAway = false }
        #expect(await Self.run(late) == nil)
        #expect(other.whole(second).isEmpty)
    }

    @Test func `when the packs are in doubt a copy is read whole and counted`() async throws {
        let (world, scene, record) = try Self.scene(packed: false, proven: false)
        #expect(await Self.run(scene) == nil)
        #expect(world.whole(record).count == 2)
        #expect(!world.counted(record).isEmpty)
        let log = world.state.withLockedValue { $0.log }
        #expect(log.contains("verify storage-1") && !log.contains { $0.hasPrefix("drop ") })
    }

    @Test func `in doubt, a damaged copy is not counted, and not dropped either`() async throws {
        let (world, scene, record) = try Self.scene(packed: false, proven: false)
        world.state.withLockedValue { state in
            for node in world.ids { state.nodes[node]?.damaged = [record] }
        }
        #expect(await Self.run(scene) == nil)
        #expect(world.counted(record).isEmpty)
        let (there, putOff) = world.state.withLockedValue { state in
            (state.nodes.values.count { $0.records.contains(record) }, state.putOff[record])
        }
        #expect(there == 2 && putOff?.note.contains("damaged") == true)
    }

    /// The doubt comes between the look and the order: the copy may be the last good one.
    @Test func `a doubt that comes after the look keeps the copy`() async throws {
        let (world, scene, record) = try Self.scene()
        world.state.withLockedValue { state in
            state.beforeProof = { state in
                state.packed = []
                state.proven = []
            }
        }
        #expect(await Self.run(scene) == nil)
        #expect(world.whole(record).count == 2)
        let log = world.state.withLockedValue { $0.log }
        #expect(!log.contains { $0.hasPrefix("drop ") })
        // One of the nodes was put off, and is asked again then.
        #expect(await Self.run(scene) == nil)
        #expect(!world.counted(record).isEmpty && world.whole(record).count == 2)
    }

    @Test func `a pack that was not read of late is read before a copy goes`() async throws {
        let (world, scene, record) = try Self.scene(proven: false)
        #expect(await Self.run(scene) == nil)
        #expect(world.whole(record).count == 2 && world.counted(record).isEmpty)
        #expect(world.state.withLockedValue { $0.putOff[record]?.note.contains("read whole") } == true)
        world.state.withLockedValue { $0.proven = [record] }
        #expect(await Self.run(scene) == nil)
        #expect(world.whole(record).isEmpty)
    }

    @Test func `what a node holds or has other content of stays there`() async throws {
        let (world, scene, record) = try Self.scene()
        world.state.withLockedValue { $0.nodes[world.ids[0]]?.damaged = [record] }
        #expect(await Self.run(scene) == nil)
        let (first, second) = world.state.withLockedValue { state in
            (state.nodes[world.ids[0]]?.records, state.nodes[world.ids[1]]?.records)
        }
        #expect(first == [record] && second == [])
        #expect(world.state.withLockedValue { $0.putOff[record]?.pause } == .seconds(3600))
    }

    @Test func `whoever dies at any step, a copy is only gone when a pack proves it`() async throws {
        for steps in 1...16 {
            for isDoubted in [false, true] {
                let (world, scene, record) = try Self.scene(packed: !isDoubted, proven: !isDoubted)
                world.state.withLockedValue { $0.stepsLeft = steps }
                _ = await Self.run(scene)
                world.state.withLockedValue { state in
                    state.stepsLeft = .max
                    state.term = Term(rawValue: state.term.rawValue + 1)
                }
                let next = SurplusScene(world)
                #expect(await Self.run(next) == nil)
                #expect(await Self.run(next) == nil)
                #expect(world.whole(record).isEmpty == !isDoubted, "\(steps)")
                #expect(world.counted(record).isEmpty == !isDoubted, "\(steps)")
            }
        }
    }
}
