// SPDX-License-Identifier: Apache-2.0

import Healing
import Logging
import NIOConcurrencyHelpers
import Placement
import ReplicationProtocol
import Testing

/// Healing against storage nodes of memory.
@Suite struct NodeHealingTests {
    private static let stamp = OrderStamp(term: Term(rawValue: 3), mapEpoch: MapEpoch(rawValue: 7))
    private static var quiet: Logger { Logger(label: "test") { _ in SwiftLogNoOpLogHandler() } }

    /// Three nodes, of which the first is to be healed.
    private static func nodes() -> [FakeNode] { (1...3).map { FakeNode(UInt64($0)) } }

    private static func heal(
        _ nodes: [FakeNode],
        without away: Set<Int> = [],
        rows: [RecordID] = [],
        known: [RecordID] = [],
        isUncertain: Bool = false,
        catalog: (any HealingCatalog)? = nil,
        timeToSettle: Duration = .zero
    ) async throws(ReplicationError) -> NodeHealing.Outcome {
        let members = nodes.map { node in
            StorageMember(
                id: node.id,
                name: node.name,
                host: "127.0.0.1",
                port: 1,
                domain: FailureDomain(host: node.name),
                weight: 100,
                state: .up
            )
        }
        let healing = NodeHealing(
            nodes[0],
            others: nodes.indices.filter { !away.contains($0) }.map { nodes[$0] },
            map: PlacementMap(epoch: stamp.mapEpoch, members: members),
            stamp: stamp,
            catalog: catalog ?? FakeCatalog(rows: rows.sorted(), others: known),
            timeToSettle: { _ in timeToSettle },
            logger: quiet
        )
        return try await healing.run(isUncertain: isUncertain)
    }

    private static func id(_ low: UInt64, group: UInt64 = 5) throws -> RecordID {
        try #require(RecordID(high: group << 48 | 1, low: low))
    }

    @Test func `what is damaged is fetched from whoever has it, and the node judges`() async throws {
        let nodes = Self.nodes()
        let ids = try (1...10).map { try Self.id(UInt64($0)) }
        for (number, id) in ids.enumerated() { nodes[1 + number % 2].change { $0.records.insert(id) } }
        nodes[0].change { $0.missing = ids }
        let outcome = try await Self.heal(nodes)
        #expect(outcome == NodeHealing.Outcome(fetchedCount: 10))
        #expect(nodes[0].now.records == Set(ids))
        #expect(nodes[0].now.healed == [nil])
    }

    @Test func `damage is asked for page by page`() async throws {
        let nodes = Self.nodes()
        let ids = try (1...10).map { try Self.id(UInt64($0)) }
        nodes[0].change { node in
            node.missing = ids
            node.pageCount = 3
        }
        nodes[2].change { $0.records = Set(ids) }
        #expect(try await Self.heal(nodes).fetchedCount == 10)
        #expect(Set(nodes[0].now.pulled) == Set(ids))
    }

    @Test func `what nobody has is named and stays damaged`() async throws {
        let nodes = Self.nodes()
        let ids = try [Self.id(1), Self.id(2)]
        nodes[0].change { $0.missing = ids }
        nodes[1].change { $0.records = [ids[1]] }
        let outcome = try await Self.heal(nodes)
        #expect(outcome == NodeHealing.Outcome(fetchedCount: 1, absent: [ids[0]], remainingCount: 1))
    }

    @Test func `a node that does not answer may have it`() async throws {
        let nodes = Self.nodes()
        let lost = try Self.id(1)
        nodes[0].change { $0.missing = [lost] }
        #expect(try await Self.heal(nodes, without: [2]).doubtful == [lost])
        nodes[1].change { $0.failure = ReplicationError(.connectionLost, "gone") }
        #expect(try await Self.heal(nodes).doubtful == [lost])
    }

    @Test func `a deletion that the node has lost comes back before anything is fetched`() async throws {
        let nodes = Self.nodes()
        let deleted = try Self.id(1)
        nodes[0].change { $0.missing = [deleted] }
        nodes[1].change { $0.amendments = [.tombstone(deleted)] }
        nodes[2].change { node in
            node.amendments = [.tombstone(deleted)]
            node.records = [deleted]
        }
        _ = try await Self.heal(nodes)
        #expect(nodes[0].now.amendments == [.tombstone(deleted)])
        #expect(nodes[0].now.records.isEmpty)
    }

    @Test func `a coordinator that was replaced stops`() async throws {
        let nodes = Self.nodes()
        nodes[0].change { node in
            node.pullFailure = ReplicationError(.staleTerm, "another leads")
        }
        let ids = try (1...20).map { try Self.id(UInt64($0)) }
        nodes[0].change { $0.missing = ids }
        nodes[1].change { $0.records = Set(ids) }
        await #expect(throws: ReplicationError.self) { try await Self.heal(nodes) }
        #expect(nodes[0].now.healed.isEmpty)
        #expect(nodes[0].now.pulled.count <= 4)
    }

    @Test(arguments: [true, false])
    func `a node that has lost it knows not what is given what the catalog says`(isUncertain: Bool) async throws {
        let nodes = Self.nodes()
        let ids = try (1...9).map { try Self.id(UInt64($0), group: UInt64($0) % 3) }
        nodes[0].change { node in
            node.records = [ids[0], ids[4], ids[8]]
            node.unnamed = isUncertain ? 0 : 77
        }
        nodes[1].change { $0.records = Set(ids) }
        let held = try Self.id(5, group: 1000)
        nodes[2].change { $0.amendments = [.hold(held)] }
        let outcome = try await Self.heal(nodes, rows: ids, isUncertain: isUncertain)
        #expect(outcome.fetchedCount == 6 && outcome.isReconciled && outcome.obstacle == nil)
        #expect(nodes[0].now.records == Set(ids))
        #expect(nodes[0].now.amendments == [.hold(held)])
        #expect(nodes[0].now.healed == [nil, isUncertain ? 0 : 77])
        #expect(outcome.remainingCount == 0)
    }

    @Test func `a peer that cannot read all its amendments is in the way of certainty and of nothing else`()
        async throws
    {
        let nodes = Self.nodes()
        let ids = try [Self.id(1), Self.id(2)]
        let held = try Self.id(5, group: 1000)
        nodes[0].change { $0.unnamed = 5 }
        nodes[1].change { $0.records = Set(ids) }
        nodes[2].change { node in
            node.amendments = [.hold(held)]
            node.amendmentsAreComplete = false
        }
        let outcome = try await Self.heal(nodes, rows: ids)
        #expect(!outcome.isReconciled && outcome.obstacle?.contains("storage-3") == true)
        #expect(nodes[0].now.records == Set(ids) && nodes[0].now.amendments == [.hold(held)])
    }

    @Test func `a record is not fetched from a node that may have forgotten its deletion`() async throws {
        let nodes = Self.nodes()
        let lost = try Self.id(1)
        nodes[0].change { $0.missing = [lost] }
        nodes[1].change { node in
            node.records = [lost]
            node.amendmentsAreComplete = false
        }
        #expect(try await Self.heal(nodes, without: [2]).doubtful == [lost])
        #expect(nodes[0].now.pulled.isEmpty)
        nodes[2].change { $0.records = [lost] }
        #expect(try await Self.heal(nodes).fetchedCount == 1)
    }

    @Test func `what others have and no row names may have been the node's, too`() async throws {
        let nodes = Self.nodes()
        let noted = try [Self.id(1), Self.id(2, group: 9), Self.id(3, group: 9)]
        let elsewhere = try Self.id(4, group: 9)
        nodes[0].change { $0.unnamed = 5 }
        nodes[1].change { $0.records = Set(noted + [elsewhere]) }
        nodes[2].change { $0.records = [noted[0], elsewhere] }
        let outcome = try await Self.heal(nodes, known: [elsewhere])
        #expect(outcome.isReconciled && outcome.fetchedCount == 3)
        #expect(nodes[0].now.records == Set(noted))
    }

    @Test func `a node is not filled with what the catalog has not caught up with`() async throws {
        let nodes = Self.nodes()
        let limit = NodeHealing.maximumUnknownCount
        let noted = try (1...limit + 1).map { try Self.id(UInt64($0), group: UInt64($0 % 2)) }
        let row = try Self.id(1, group: 7)
        nodes[0].change { $0.unnamed = 5 }
        nodes[1].change { $0.records = Set(noted + [row]) }
        let outcome = try await Self.heal(nodes, rows: [row])
        #expect(!outcome.isReconciled && outcome.obstacle?.contains("does not know yet") == true)
        #expect(nodes[0].now.records.count == limit + 1 && nodes[0].now.records.contains(row))
        let caughtUp = try await Self.heal(nodes, rows: [row], known: noted)
        #expect(caughtUp.isReconciled && caughtUp.fetchedCount == 0)
    }

    @Test func `what is entered during a comparison is not overlooked`() async throws {
        let nodes = Self.nodes()
        let record = try Self.id(1)
        nodes[0].change { $0.unnamed = 5 }
        nodes[1].change { $0.records = [record] }
        let outcome = try await Self.heal(nodes, catalog: CatchingUpCatalog(record))
        #expect(outcome.isReconciled && nodes[0].now.records == [record])
    }

    @Test func `nothing is called compared while a member is away or a row's record is nowhere`() async throws {
        let nodes = Self.nodes()
        let ids = try [Self.id(1), Self.id(2)]
        nodes[0].change { $0.unnamed = 5 }
        nodes[1].change { $0.records = [ids[0]] }
        let away = try await Self.heal(nodes, without: [2], rows: [ids[0]])
        #expect(!away.isReconciled && away.obstacle?.contains("storage-3") == true && away.remainingCount == 1)
        let lost = try await Self.heal(nodes, rows: ids)
        #expect(!lost.isReconciled && lost.absent == [ids[1]] && lost.obstacle != nil)
        #expect(nodes[0].now.healed == [nil, nil])
        #expect(nodes[0].now.records == [ids[0]])
    }

    @Test func `damage that is found during a comparison is not forgotten`() async throws {
        let nodes = Self.nodes()
        nodes[0].change { node in
            node.unnamed = 5
            node.unnamedWhenListed = 6
        }
        let outcome = try await Self.heal(nodes, rows: [try Self.id(1)])
        #expect(outcome.remainingCount == 1)
    }

    @Test func `what has no name is not judged before stores under way have ended, what has one is fetched at once`()
        async throws
    {
        let nodes = Self.nodes()
        let (named, unknown) = (try Self.id(1), try Self.id(2))
        nodes[0].change { state in
            state.missing = [named]
            state.unnamed = 7
        }
        nodes[1].change { $0.records = [named] }
        let early = try await Self.heal(nodes, known: [unknown], timeToSettle: .seconds(60))
        #expect(early.fetchedCount == 1 && !early.isReconciled && early.obstacle != nil)
        #expect(early.timeToSettle == .seconds(60))
        #expect(nodes[0].now.healed == [nil] && nodes[0].now.unnamed == 7)

        // The store's second copy has come meanwhile.
        nodes[1].change { $0.records.insert(unknown) }
        let settled = try await Self.heal(nodes, known: [named])
        #expect(settled.isReconciled && settled.obstacle == nil)
        #expect(nodes[0].now.records == [named, unknown])
    }

    @Test func `a loss settles anew when there is more of it, or the node has started again`() {
        var ages = LossAges(settling: .seconds(600))
        let (node, other) = (NodeID(high: 1, low: 1), NodeID(high: 1, low: 2))
        let loss = LossAges.Loss(incarnation: 1, unnamed: 7)
        #expect(ages.timeLeft(node, loss, now: .seconds(100)) == .seconds(600))
        #expect(ages.timeLeft(node, loss, now: .seconds(400)) == .seconds(300))
        #expect(ages.timeLeft(other, loss, now: .seconds(400)) == .seconds(600))
        #expect(ages.timeLeft(node, loss, now: .seconds(700)) == .zero)
        let more = LossAges.Loss(incarnation: 1, unnamed: 8)
        #expect(ages.timeLeft(node, more, now: .seconds(701)) == .seconds(600))
        let again = LossAges.Loss(incarnation: 2, unnamed: 8)
        #expect(ages.timeLeft(node, again, now: .seconds(1400)) == .seconds(600))
        ages.forget(node)
        #expect(ages.timeLeft(node, again, now: .seconds(9000)) == .seconds(600))
    }
}
