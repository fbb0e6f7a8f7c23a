// SPDX-License-Identifier: Apache-2.0

import Placement
import Testing

@Suite struct SpreadTests {
    /// A random cluster: some sites, some racks in each, some hosts in each, some nodes on each; of any weight.
    private static func randomMembers(_ generator: inout SeededGenerator) -> [StorageMember] {
        var members: [StorageMember] = []
        var number = 0
        for site in 0..<Int.random(in: 1...3, using: &generator) {
            for rack in 0..<Int.random(in: 1...3, using: &generator) {
                for host in 0..<Int.random(in: 1...3, using: &generator) {
                    for _ in 0..<Int.random(in: 1...2, using: &generator) {
                        number += 1
                        members.append(
                            .sample(
                                number,
                                weight: .random(in: 1...4, using: &generator),
                                site: "site-\(site)",
                                rack: "rack-\(rack)",
                                host: "host-\(host)"
                            )
                        )
                    }
                }
            }
        }
        return members
    }

    @Test func `copies are spread as widely and evenly as the cluster allows`() {
        var generator = SeededGenerator.fromEnvironment()
        for _ in 0..<30 {
            let members = Self.randomMembers(&generator)
            let map = PlacementMap(epoch: MapEpoch(rawValue: 1), members: members)
            let copies = Int.random(in: 1...4, using: &generator)
            let hosts = Set(members.map(\.domain)).count
            let sites = Set(members.map(\.domain.site)).count
            for group in PlacementGroup.all.prefix(64) {
                let holders = map.ranking(of: group, copies: copies).prefix(copies).map(\.domain)
                #expect(Set(holders).count == min(hosts, copies), "two copies on one host of \(hosts)")
                #expect(Set(holders.map(\.site)).count == min(sites, copies), "two copies on one site of \(sites)")
                let all = Array(Set(members.map(\.domain)))
                if hosts >= copies {
                    expectEven(holders, in: all) { $0.site }
                    for site in Set(holders.map(\.site)) {
                        expectEven(holders.filter { $0.site == site }, in: all.filter { $0.site == site }) { $0.rack }
                    }
                }
            }
        }
    }

    /// No part holds two copies more than another part that has a host to spare.
    private func expectEven(
        _ holders: [FailureDomain],
        in all: [FailureDomain],
        by part: (FailureDomain) -> String
    ) {
        let parts = Set(all.map(part))
        let counts = parts.map { name in
            (held: holders.filter { part($0) == name }.count, available: all.filter { part($0) == name }.count)
        }
        let most = counts.map(\.held).max() ?? 0
        for count in counts where count.available > count.held {
            #expect(count.held >= most - 1, "\(holders) is uneven over \(parts)")
        }
    }

    @Test func `removing a member moves only its own copies`() {
        var generator = SeededGenerator.fromEnvironment()
        for _ in 0..<30 {
            let members = Self.randomMembers(&generator)
            guard members.count > 1 else { continue }
            let copies = Int.random(in: 1...3, using: &generator)
            let before = PlacementMap(epoch: MapEpoch(rawValue: 1), members: members)
            let leaving = members[Int.random(in: members.indices, using: &generator)]
            let after = PlacementMap(
                epoch: MapEpoch(rawValue: 2),
                members: members.filter { $0.id != leaving.id }
            )
            for group in PlacementGroup.all.prefix(128) {
                let old = Set(before.holders(of: group, copies: copies))
                let new = Set(after.holders(of: group, copies: copies))
                #expect(old.subtracting(new).isSubset(of: [leaving.id]))
                #expect(new.subtracting(old).count <= (old.contains(leaving.id) ? 1 : 0))
                // What replaces a member that is only avoided is what replaces one that is gone.
                let avoiding = before.ranking(of: group, copies: copies, avoiding: [leaving.id])
                #expect(Set(avoiding.prefix(min(copies, members.count - 1)).map(\.id)) == new)
                #expect(avoiding.last?.id == leaving.id)
            }
            // And back again: adding it moves copies only to it.
            let movement = PlacementMovement(from: after, to: before, copies: copies)
            #expect(movement.changes.allSatisfy { $0.gaining == [leaving.id] && $0.losing.count <= 1 })
        }
    }

    @Test func `changing a weight moves copies only to or from that member`() {
        var generator = SeededGenerator.fromEnvironment()
        for _ in 0..<30 {
            var members = Self.randomMembers(&generator)
            let copies = Int.random(in: 1...3, using: &generator)
            let before = PlacementMap(epoch: MapEpoch(rawValue: 1), members: members)
            let index = Int.random(in: members.indices, using: &generator)
            members[index].weight *= 2
            let heavier = PlacementMap(epoch: MapEpoch(rawValue: 2), members: members)
            let movement = PlacementMovement(from: before, to: heavier, copies: copies)
            for change in movement.changes {
                #expect(change.gaining == [members[index].id])
                #expect(change.losing.count == 1)
            }
            #expect(movement.movedCopyCount == movement.groups(gainedBy: members[index].id).count)
        }
    }

    @Test func `a new node takes its share and no more`() {
        let members = (1...9).map { StorageMember.sample($0) }
        let before = PlacementMap(epoch: MapEpoch(rawValue: 1), members: members)
        let after = PlacementMap(epoch: MapEpoch(rawValue: 2), members: members + [.sample(10)])
        let movement = PlacementMovement(from: before, to: after, copies: 2)
        // A tenth of 2,048 copies, give or take.
        #expect((150...260).contains(movement.movedCopyCount))
        #expect(
            movement.groups(gainedBy: NodeID(high: 0x0123_4567_89ab_cdef, low: 10)).count == movement.movedCopyCount
        )
        #expect(movement.movedFraction < 0.13)
        #expect(PlacementMovement(from: before, to: before, copies: 2).changes.isEmpty)
    }

    @Test func `replacements follow in rendezvous order`() {
        // Without domains to respect, the ranking does not depend on how many copies are wanted.
        let map = PlacementMap(epoch: MapEpoch(rawValue: 1), members: (1...12).map { .sample($0) })
        for group in PlacementGroup.all {
            let ranking = map.ranking(of: group, copies: 1).map(\.id)
            #expect(ranking == map.ranking(of: group, copies: 3).map(\.id))
            #expect(Set(ranking).count == 12)
            // A dead holder is replaced by the next in order.
            let avoiding = map.ranking(of: group, copies: 2, avoiding: [ranking[0]]).map(\.id)
            #expect(avoiding == Array(ranking.dropFirst()) + [ranking[0]])
        }
    }
}
