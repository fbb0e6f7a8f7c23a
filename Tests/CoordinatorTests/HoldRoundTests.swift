// SPDX-License-Identifier: Apache-2.0

import Catalog
import Coordinator
import Logging
import NIOConcurrencyHelpers
import NIOCore
import Placement
import ReplicationProtocol
import Testing

/// A catalog's holds, in memory.
private final class MemoryHolds: HoldLedger {
    struct State {
        var orders: [NodeHold] = []
        var records: [RecordID] = []
        var arrivals: [HoldArrival] = []
        var done: Set<Int64> = []
        var toldOfArrivals: [NodeID] = []
    }

    let state: NIOLockedValueBox<State>

    init(_ orders: [NodeHold], records: [RecordID]) {
        state = NIOLockedValueBox(State(orders: orders, records: records))
    }

    func refreshNodeHolds(
        term: Term,
        members: [NodeID],
        looksBack: Bool,
        issuedAtMilliseconds: Int64
    ) async throws(CatalogError) {}

    func openNodeHolds(term: Term, answering: [NodeID], limit: Int) async throws(CatalogError) -> [NodeHold] {
        state.withLockedValue { state in
            state.orders.filter { !state.done.contains($0.number) && !$0.answered.isSuperset(of: answering) }
        }
    }

    func records(ofHeldStudy study: String, after: RecordID?, limit: Int) async throws(CatalogError) -> [RecordID] {
        let all = state.withLockedValue { $0.records }
        return Array(all.filter { id in after.map { $0 < id } ?? true }.prefix(limit))
    }

    func noteHoldAnswers(
        order number: Int64,
        nodes: [NodeID],
        members: [NodeID],
        term: Term
    ) async throws(CatalogError) -> Bool {
        state.withLockedValue { state in
            guard let index = state.orders.firstIndex(where: { $0.number == number }) else { return false }
            state.orders[index].answered.formUnion(nodes)
            guard state.orders[index].answered.isSuperset(of: members) else { return false }
            state.done.insert(number)
            return true
        }
    }

    func holdArrivals(limit: Int) async throws(CatalogError) -> [HoldArrival] {
        state.withLockedValue { $0.arrivals }
    }

    func finishHoldArrivals(
        _ arrivals: [HoldArrival],
        told: [NodeID],
        members: [NodeID],
        term: Term
    ) async throws(CatalogError) {
        state.withLockedValue { state in
            state.arrivals = []
            state.toldOfArrivals = told
        }
    }
}

/// A node that keeps what it is told, or refuses.
private final class MemoryPeer: AmendmentPeer {
    let id: NodeID
    let name: String
    let told = NIOLockedValueBox<[RecordAmendment]>([])
    let refusal = NIOLockedValueBox<ReplicationError?>(nil)

    init(_ number: UInt64) {
        id = NodeID(high: 1, low: number)
        name = "storage-\(number)"
    }

    func amend(_ amendment: RecordAmendment, _ stamp: OrderStamp) async throws(ReplicationError) {
        if let refusal = refusal.withLockedValue({ $0 }) { throw refusal }
        told.withLockedValue { $0.append(amendment) }
    }
}

struct HoldRoundTests {
    private static let term = Term(rawValue: 5)
    private let peers = [MemoryPeer(1), MemoryPeer(2), MemoryPeer(3)]
    private var members: [NodeID] { peers.map(\.id) }

    private static func records(_ count: Int) -> [RecordID] {
        (0..<count).compactMap { number in
            RecordID(
                group: PlacementGroup(studyInstanceUID: "1.2"),
                digest: (0..<32).map { $0 < 2 ? UInt8(truncatingIfNeeded: number >> (8 * (1 - $0))) : 0 }
            )
        }.sorted()
    }

    private static func hold(_ number: Int64 = 7, isHeld: Bool = true, reason: String = "court") -> NodeHold {
        NodeHold(
            study: "1.2",
            isHeld: isHeld,
            number: number,
            term: Term(rawValue: 4),
            issuedAtMilliseconds: 99,
            referenceHigh: 1,
            referenceLow: 2,
            hold: 3,
            name: "case",
            reason: reason
        )
    }

    private func run(_ ledger: MemoryHolds, _ peers: [MemoryPeer]) async throws -> Bool {
        let round = HoldRound(
            ledger: ledger,
            peers: peers,
            members: members,
            stamp: OrderStamp(term: Self.term, mapEpoch: MapEpoch(rawValue: 1)),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        return try await round.run(looksBack: false, issuedAtMilliseconds: 0)
    }

    @Test(arguments: [true, false])
    func `every node is told of every record, with what makes the hold again`(isHeld: Bool) async throws {
        let records = Self.records(2_100)
        let ledger = MemoryHolds([Self.hold(isHeld: isHeld)], records: records)
        #expect(try await run(ledger, peers))
        #expect(ledger.state.withLockedValue { $0.done } == [7])
        for peer in peers {
            let told = peer.told.withLockedValue { $0 }
            #expect(told.map(\.recordID).sorted() == records)
            #expect(told.allSatisfy { $0.kind == (isHeld ? .hold : .release) })
            #expect(told.allSatisfy { $0.order == RecordAmendment.Order(term: Term(rawValue: 4), sequence: 7) })
            #expect(told.allSatisfy { $0.reference == ReferenceID(high: 1, low: 2) })
            #expect(told.first.map { String(buffer: $0.payload) } == (isHeld ? "hold 3\ncase\ncourt" : ""))
        }
    }

    @Test(arguments: 0..<4)
    func `a long reason is cut between characters`(ahead: Int) async throws {
        let reason = String(repeating: "a", count: ahead) + String(repeating: "€", count: 1_000)
        let ledger = MemoryHolds([Self.hold(reason: reason)], records: Self.records(1))
        #expect(try await run(ledger, peers))
        let payload = try #require(peers[0].told.withLockedValue { $0.first?.payload })
        #expect((1_022...1_024).contains(payload.readableBytes))
        #expect("hold 3\ncase\n\(reason)".hasPrefix(String(buffer: payload)))
    }

    @Test func `a node that was away is told when it is back, and the others are not again`() async throws {
        let ledger = MemoryHolds([Self.hold()], records: Self.records(10))
        #expect(try await run(ledger, Array(peers.prefix(2))))
        #expect(ledger.state.withLockedValue { $0.done.isEmpty })
        #expect(try await run(ledger, peers))
        #expect(ledger.state.withLockedValue { $0.done } == [7])
        #expect(peers.map { peer in peer.told.withLockedValue { $0.count } } == [10, 10, 10])
    }

    @Test func `a node that refuses is asked again`() async throws {
        let ledger = MemoryHolds([Self.hold()], records: Self.records(10))
        peers[1].refusal.withLockedValue { $0 = ReplicationError(.diskFull, "its disk is full") }
        #expect(try await !run(ledger, peers))
        #expect(ledger.state.withLockedValue { $0.orders[0].answered } == [peers[0].id, peers[2].id])
        peers[1].refusal.withLockedValue { $0 = nil }
        #expect(try await run(ledger, peers))
        #expect(ledger.state.withLockedValue { $0.done } == [7])
    }

    @Test func `what came later is told by itself`() async throws {
        let ledger = MemoryHolds([], records: [])
        let records = Self.records(2)
        ledger.state.withLockedValue { state in
            state.arrivals = [
                HoldArrival(id: 1, record: records[0], holds: [Self.hold(7), Self.hold(8)]),
                HoldArrival(id: 2, record: records[1], holds: []),
            ]
        }
        peers[2].refusal.withLockedValue { $0 = ReplicationError(.diskFull, "no") }
        _ = try await run(ledger, peers)
        #expect(ledger.state.withLockedValue { Set($0.toldOfArrivals) } == Set(members.prefix(2)))
        let told = peers[0].told.withLockedValue { $0 }
        #expect(told.map(\.recordID) == [records[0], records[0]])
        #expect(Set(told.map(\.order.sequence)) == [7, 8])
    }

    @Test func `a coordinator that is over stops`() async throws {
        let ledger = MemoryHolds([Self.hold()], records: Self.records(10))
        peers[0].refusal.withLockedValue { $0 = ReplicationError(.staleTerm, "over") }
        let error = await #expect(throws: CatalogError.self) { try await run(ledger, peers) }
        #expect(error?.code == .staleTerm)
        #expect(ledger.state.withLockedValue { $0.done.isEmpty })
    }
}
