// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct ClusterTests {
    @Test func `nodes are registered, updated and given a state`() async throws {
        try await CatalogFixture.with { fixture in
            #expect(try await fixture.catalog.nodes() == CatalogFixture.nodes)
            var moved = CatalogFixture.nodes[0]
            moved.host = "10.0.0.9"
            moved.weight = 7
            moved.domain = FailureDomain(site: "s", rack: "r", host: "h")
            moved.state = .down
            try await fixture.catalog.setState(of: moved.id, to: .draining)
            try await fixture.catalog.register(moved)
            moved.state = .draining
            #expect(try await fixture.catalog.nodes().first == moved)
            let error = await #expect(throws: CatalogError.self) {
                try await fixture.catalog.setState(of: NodeID(high: 5, low: 5), to: .up)
            }
            #expect(error?.code == .unknownNode)
        }
    }

    @Test func `one of several publishers of a map wins`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let empty = try await catalog.placementMap()
            #expect(empty == PlacementMap(epoch: MapEpoch(rawValue: 0), members: []))
            let maps = (1...4).map { number in
                PlacementMap(epoch: MapEpoch(rawValue: 1), members: Array(CatalogFixture.nodes.prefix(number)))
            }
            let winners = try await withThrowingTaskGroup(of: PlacementMap?.self) { group in
                for map in maps {
                    group.addTask {
                        do throws(CatalogError) {
                            try await catalog.publish(map, replacing: empty.epoch)
                            return map
                        } catch {
                            #expect(error.code == .conflict)
                            return nil
                        }
                    }
                }
                return try await group.reduce(into: []) { $0 += $1.map { [$0] } ?? [] }
            }
            #expect(winners.count == 1)
            #expect(try await catalog.placementMap() == winners.first)
            let wrong = await #expect(throws: CatalogError.self) {
                try await catalog.publish(maps[0], replacing: MapEpoch(rawValue: 1))
            }
            #expect(wrong?.code == .invalid)
        }
    }

    @Test func `a lease is held by one, renewed, released and taken over with a higher term`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            #expect(try await catalog.lease() == nil)
            let first = try #require(try await catalog.acquireLease(holder: "a", duration: .seconds(60)))
            #expect(first == Term(rawValue: 1))
            #expect(try await catalog.acquireLease(holder: "b", duration: .seconds(60)) == nil)
            #expect(try await catalog.acquireLease(holder: "a", duration: .seconds(60)) == first)
            #expect(try await catalog.renewLease(holder: "a", term: first, duration: .seconds(60)))
            let lease = try #require(try await catalog.lease())
            #expect(lease.holder == "a")
            #expect(lease.term == first)
            #expect(lease.remaining > .seconds(30) && lease.remaining <= .seconds(60))
            // It runs out by the database's clock; nobody waits for it here.
            _ = try fixture.sql("UPDATE coordinator_lease SET expires_at = clock_timestamp() - interval '1 s'")
            #expect(try await catalog.lease() == nil)
            #expect(try await catalog.renewLease(holder: "a", term: first, duration: .seconds(60)))
            try await catalog.releaseLease(holder: "a", term: first)
            let second = try #require(try await catalog.acquireLease(holder: "b", duration: .seconds(60)))
            #expect(second == Term(rawValue: 2))
            #expect(try await !catalog.renewLease(holder: "a", term: first, duration: .seconds(60)))
            try await catalog.releaseLease(holder: "a", term: first)
            #expect(try await catalog.lease()?.holder == "b")
        }
    }

    @Test func `a coordinator whose term is over changes nothing`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let old = try #require(try await catalog.acquireLease(holder: "a", duration: .seconds(60)))
            let map = PlacementMap(epoch: MapEpoch(rawValue: 1), members: CatalogFixture.nodes)
            try await catalog.publish(map, replacing: MapEpoch(rawValue: 0), term: old)
            try await catalog.releaseLease(holder: "a", term: old)
            let new = try #require(try await catalog.acquireLease(holder: "b", duration: .seconds(60)))
            let next = PlacementMap(epoch: MapEpoch(rawValue: 2), members: [])
            let publishing = await #expect(throws: CatalogError.self) {
                try await catalog.publish(next, replacing: map.epoch, term: old)
            }
            #expect(publishing?.code == .staleTerm)
            let node = CatalogFixture.nodes[0].id
            let setting = await #expect(throws: CatalogError.self) {
                try await catalog.setState(of: node, to: .out, term: old)
            }
            #expect(setting?.code == .staleTerm)
            #expect(try await catalog.placementMap() == map)
            try await catalog.setState(of: node, to: .out, term: new)
            #expect(try await catalog.nodes().first?.state == .out)
        }
    }

    @Test func `one of several candidates leads`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let terms = try await withThrowingTaskGroup(of: Term?.self) { group in
                for candidate in 0..<8 {
                    group.addTask { try await catalog.acquireLease(holder: "c\(candidate)", duration: .seconds(60)) }
                }
                return try await group.reduce(into: []) { $0 += $1.map { [$0] } ?? [] }
            }
            #expect(terms == [Term(rawValue: 1)])
        }
    }

    @Test func `a cluster gets its identity once`() async throws {
        try await CatalogFixture.with { fixture in
            let before = try await fixture.catalog.clusterID()
            #expect(before == nil)
            let first = ClusterID(high: 1, low: 2)
            #expect(try await fixture.catalog.establishCluster(first) == first)
            #expect(try await fixture.catalog.establishCluster(ClusterID(high: 3, low: 4)) == first)
            #expect(try await fixture.catalog.clusterID() == first)
        }
    }
}
