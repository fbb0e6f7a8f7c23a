// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Repair
import Testing

/// What is to be done next with a recall, by table.
struct RecallPlanTests {
    private static let nodes = RecallWorld.nodes

    private static func record(
        _ low: UInt64,
        pack: UInt64? = 1,
        byteCount: Int64 = 10,
        dropping: [NodeID] = []
    ) throws -> RecallableRecord {
        RecallableRecord(
            record: try #require(RecordID(high: 0, low: low)),
            byteCount: byteCount,
            pack: pack.map { RecallableRecord.Pack(high: 1, low: $0) },
            dropping: dropping
        )
    }

    private static func step(_ records: [RecallableRecord], _ tried: RecallPlan.Tried = .init()) -> RecallPlan.Step {
        var limits = RecallLimits()
        limits.recordsAtOnce = 3
        limits.bytesAtOnce = 100
        return RecallPlan.next(records, tried, targets: RecallWorld.map().members, least: 2, limits: limits)
    }

    private static func read(
        _ pack: UInt64,
        _ lows: [UInt64],
        bytes: Int64,
        avoided: Set<NodeID> = []
    ) throws
        -> RecallPlan.Step
    {
        .read(
            RecallPlan.Batch(
                pack: RecallableRecord.Pack(high: 1, low: pack),
                records: try lows.map { try #require(RecordID(high: 0, low: $0)) },
                byteCount: bytes,
                avoided: avoided
            )
        )
    }

    @Test func `the next step follows from what is in packs only`() throws {
        let (one, two, three) = (try Self.record(1), try Self.record(2), try Self.record(3))
        let table: [([RecallableRecord], RecallPlan.Step)] = [
            ([], .finish),
            ([one], try Self.read(1, [1], bytes: 10)),
            ([one, two, three, try Self.record(4)], try Self.read(1, [1, 2, 3], bytes: 30)),
            // One pack at a time.
            ([one, try Self.record(2, pack: 2), three], try Self.read(1, [1, 3], bytes: 20)),
            ([one, try Self.record(2, byteCount: 95)], try Self.read(1, [1], bytes: 10)),
            // What is larger than a batch may be goes alone.
            ([try Self.record(1, byteCount: 1000), two], try Self.read(1, [1], bytes: 1000)),
            ([try Self.record(1, pack: nil)], .giveUp),
            ([try Self.record(1, pack: nil), two], try Self.read(1, [2], bytes: 10)),
            // Two of three nodes have said that their copies are gone, or one.
            (
                [try Self.record(1, dropping: [Self.nodes[0]]), two],
                try Self.read(1, [1], bytes: 10, avoided: [Self.nodes[0]])
            ),
            ([try Self.record(1, dropping: [Self.nodes[0], Self.nodes[2]])], .settle),
            ([try Self.record(1, dropping: [Self.nodes[0], Self.nodes[2]]), two], try Self.read(1, [2], bytes: 10)),
            // A node that is no target is not waited for.
            ([try Self.record(1, dropping: [NodeID(high: 9, low: 9)])], try Self.read(1, [1], bytes: 10)),
        ]
        for (number, (records, step)) in table.enumerated() {
            #expect(Self.step(records) == step, "case \(number)")
        }
    }

    @Test func `what a pack did not give is read from another, or given up`() throws {
        let records = [try Self.record(1), try Self.record(2), try Self.record(1, pack: 2)]
        let first = try #require(records[0].pack)
        var tried = RecallPlan.Tried()
        tried.records.insert(RecallPlan.Tried.Record(record: records[0].record, pack: first))
        #expect(Self.step(records, tried) == (try Self.read(1, [2], bytes: 10)))
        tried.packs.insert(first)
        #expect(Self.step(records, tried) == (try Self.read(2, [1], bytes: 10)))
        tried.packs.insert(RecallableRecord.Pack(high: 1, low: 2))
        #expect(Self.step(records, tried) == .giveUp)
    }

    @Test func `copies go to the nodes that the map wants them on, and to others only for want of these`() throws {
        let nodes = (1...5).map { NodeID(high: 0, low: UInt64($0)) }
        let map = RecallWorld.map(nodes)
        let group = try #require(PlacementGroup(rawValue: 7))
        let holders = map.holders(of: group, copies: 3)
        func targets(_ answering: [NodeID], copies: Int = 3) -> [NodeID] {
            RecallPlan.targets(of: group, map: map, copies: copies, answering: Set(answering), least: 2).map(\.id)
        }
        #expect(targets(nodes) == holders)
        #expect(targets(nodes.filter { $0 != holders[0] }) == [holders[1], holders[2]])
        let rest = nodes.filter { $0 != holders[0] && $0 != holders[1] }
        let standing = targets(rest)
        #expect(standing.count == 2 && standing[0] == holders[2] && rest.contains(standing[1]))
        #expect(targets([nodes[0]]) == [nodes[0]])
        #expect(targets([]) == [])
        #expect(targets(nodes, copies: 1) == map.holders(of: group, copies: 1))
    }

    @Test func `a second copy on one host does not count, and who stands in stands elsewhere`() throws {
        let nodes = (1...4).map { NodeID(high: 0, low: UInt64($0)) }
        // Two each on two hosts.
        let map = RecallWorld.map(nodes) { "host-\($0.low % 2)" }
        let group = try #require(PlacementGroup(rawValue: 7))
        let holders = map.holders(of: group, copies: 3)
        func targets(_ answering: [NodeID]) -> [StorageMember] {
            RecallPlan.targets(of: group, map: map, copies: 3, answering: Set(answering), least: 2)
        }
        let crowded = holders.filter { $0.low % 2 == holders[2].low % 2 }
        let alone = try #require(holders.first { !crowded.contains($0) })
        #expect(crowded.count == 2)
        let standing = nodes.filter { !holders.contains($0) }
        #expect(targets(nodes.filter { $0 != alone }).map(\.id) == crowded + standing)
        #expect(RecallPlan.hostCount(targets(crowded)) == 1)
        let record = try Self.record(1, dropping: [alone])
        let step = RecallPlan.next(
            [record],
            .init(),
            targets: targets(holders),
            least: 2,
            limits: RecallLimits()
        )
        #expect(step == .settle)
    }

    @Test func `each attempt asks another node first`() {
        let nodes = Self.nodes
        #expect(RecallPlan.readers(nodes, attempt: 0) == nodes)
        #expect(RecallPlan.readers(nodes, attempt: 4) == [nodes[1], nodes[2], nodes[0]])
        #expect(RecallPlan.readers([], attempt: 4) == [])
    }
}
