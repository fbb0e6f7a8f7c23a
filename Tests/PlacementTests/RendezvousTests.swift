// SPDX-License-Identifier: Apache-2.0

import Placement
import Testing

@Suite struct RendezvousTests {
    @Test func `rankings are what they were in every release`() throws {
        // Computed independently (Python integers) from the description in RendezvousScore.
        let weights: [UInt32] = [1, 2, 3, 1, 5]
        let map = PlacementMap(
            epoch: MapEpoch(rawValue: 1),
            members: weights.enumerated().map { index, weight in
                .sample(index + 1, weight: weight)
            }
        )
        for (number, expected) in Self.goldenRankings {
            let group = try #require(PlacementGroup(rawValue: number))
            #expect(map.ranking(of: group, copies: 2).map { Int($0.id.low) } == expected, "group \(number)")
        }
    }

    @Test func `the order of members given does not matter`() throws {
        let members = (1...20).map { StorageMember.sample($0, weight: UInt32($0 % 4 + 1), rack: "\($0 % 3)") }
        let forward = PlacementMap(epoch: MapEpoch(rawValue: 1), members: members)
        let backward = PlacementMap(epoch: MapEpoch(rawValue: 1), members: members.reversed())
        #expect(forward == backward)
        for group in PlacementGroup.all.prefix(64) {
            #expect(forward.ranking(of: group, copies: 3) == backward.ranking(of: group, copies: 3))
        }
    }

    @Test(arguments: [1, 3]) func `groups are shared out by weight`(copies: Int) {
        // 32 maps of 1024 groups each, with other node ids: the heaviest nodes' shares have a standard deviation of one percent.
        let weights: [UInt32] = [1, 1, 2, 4, 8, 4, 2, 1, 1, 8]
        var firsts = [Int](repeating: 0, count: weights.count)
        for round in 0..<32 {
            let members = weights.enumerated().map { index, weight in
                StorageMember.sample(round * 100 + index, weight: weight)
            }
            let map = PlacementMap(epoch: MapEpoch(rawValue: 1), members: members)
            for group in PlacementGroup.all {
                guard let first = map.holders(of: group, copies: copies).first else { continue }
                firsts[Int(first.low) - round * 100] += 1
            }
        }
        let total = Double(weights.reduce(0, +))
        for (weight, count) in zip(weights, firsts) {
            let expected = Double(32 * PlacementGroup.count) * Double(weight) / total
            #expect(
                abs(Double(count) - expected) < 4 * expected.squareRoot(),
                "weight \(weight): \(count) of \(expected)"
            )
        }
    }

    @Test func `equal nodes hold equal shares of all copies`() {
        var counts: [UInt64: Int] = [:]
        for round in 0..<8 {
            let members = (0..<12).map { StorageMember.sample(round * 100 + $0, rack: "\($0 % 4)") }
            let map = PlacementMap(epoch: MapEpoch(rawValue: 1), members: members)
            for group in PlacementGroup.all {
                for node in map.holders(of: group, copies: 3) { counts[node.low % 100, default: 0] += 1 }
            }
        }
        let expected = Double(8 * PlacementGroup.count * 3) / 12
        for (node, count) in counts {
            #expect(abs(Double(count) / expected - 1) < 0.1, "node \(node): \(count) of \(expected)")
        }
    }

    @Test func `members that own nothing are never ranked`() throws {
        var members = (1...8).map { StorageMember.sample($0) }
        members[0].state = .out
        members[1].state = .draining
        members[2].state = .removed
        members[3].weight = 0
        members[4].state = .down
        members[5].state = .suspect
        let map = PlacementMap(epoch: MapEpoch(rawValue: 1), members: members)
        for group in PlacementGroup.all.prefix(64) {
            #expect(Set(map.ranking(of: group, copies: 2).map(\.id.low)) == [5, 6, 7, 8])
        }
        #expect(map[members[0].id]?.state == .out)
        #expect(map[NodeID(high: 7, low: 7)] == nil)
    }

    @Test func `a map takes each id once and few members without trouble`() throws {
        let group = try #require(PlacementGroup.all.first)
        var twice = StorageMember.sample(1)
        twice.name = "later"
        let map = PlacementMap(epoch: MapEpoch(rawValue: 1), members: [.sample(1), twice])
        #expect(map.members.map(\.name) == ["node-1"])
        #expect(map.ranking(of: group, copies: 3).count == 1)
        #expect(map.holders(of: group, copies: 0).isEmpty)
        #expect(map.holders(of: group, copies: -1).isEmpty)
        let empty = PlacementMap(epoch: MapEpoch(rawValue: 0), members: [])
        #expect(empty.ranking(of: group, copies: 2).isEmpty)
    }
}

extension StorageMember {
    static func sample(
        _ number: Int,
        weight: UInt32 = 1,
        site: String = "",
        rack: String = "",
        host: String? = nil
    ) -> StorageMember {
        StorageMember(
            id: NodeID(high: 0x0123_4567_89ab_cdef, low: UInt64(number)),
            name: "node-\(number)",
            host: "127.0.0.1",
            port: 7000,
            domain: FailureDomain(site: site, rack: rack, host: host ?? "host-\(number)"),
            weight: weight
        )
    }
}

extension RendezvousTests {
    fileprivate static let goldenRankings: [(group: UInt16, nodes: [Int])] = [
        (0, [5, 2, 3, 1, 4]),
        (1, [2, 4, 5, 3, 1]),
        (2, [4, 2, 5, 1, 3]),
        (354, [5, 2, 3, 1, 4]),
        (796, [5, 3, 2, 4, 1]),
        (1023, [3, 5, 4, 1, 2]),
        (512, [3, 1, 5, 4, 2]),
        (77, [5, 3, 1, 2, 4]),
    ]
}
