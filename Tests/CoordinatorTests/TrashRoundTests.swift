// SPDX-License-Identifier: Apache-2.0

import Catalog
import Coordinator
import Logging
import NIOConcurrencyHelpers
import Placement
import ReplicationProtocol
import Testing

/// A catalog's orders, in memory, under a term in office.
private final class MemoryLedger: TrashLedger {
    struct State {
        var term = Term(rawValue: 5)
        var orders: [TrashOrder] = []
        var records: [RecordID] = []
        var restored: Set<RecordID> = []
        /// In cold packs only, and in a sound one.
        var packed: Set<RecordID> = []
        var done: Set<Int64> = []
        var notes: [String] = []
        var answerFailures = 0
    }

    let state: NIOLockedValueBox<State>

    init(_ orders: [TrashOrder], records: [RecordID]) {
        state = NIOLockedValueBox(State(orders: orders, records: records))
    }

    private func check(_ term: Term) throws(CatalogError) {
        if state.withLockedValue({ $0.term }) != term { throw CatalogError(.staleTerm, "over") }
    }

    func openTrashOrders(
        term: Term,
        members: [NodeID],
        looksBack: Bool,
        limit: Int
    ) async throws(CatalogError) -> [TrashOrder] {
        try check(term)
        return state.withLockedValue { state in
            if looksBack {
                state.done = state.done.filter { number in
                    state.orders.contains { $0.number == number && $0.answered.isSuperset(of: members) }
                }
            }
            return state.orders.filter { !state.done.contains($0.number) }
        }
    }

    func records(ofDeletion deletion: Int64, after: RecordID?, limit: Int) async throws(CatalogError) -> [RecordID] {
        let all = state.withLockedValue { $0.records }
        return Array(all.filter { id in after.map { $0 < id } ?? true }.prefix(limit))
    }

    func packed(
        among records: [RecordID],
        ofDeletion deletion: Int64
    ) async throws(CatalogError) -> [RecordID] {
        state.withLockedValue { state in records.filter { state.packed.contains($0) } }
    }

    func restore(_ records: [RecordID], ofDeletion deletion: Int64, term: Term) async throws(CatalogError) -> Int {
        try check(term)
        return state.withLockedValue { state in
            state.restored.formUnion(records)
            return state.records.count - state.restored.count
        }
    }

    func noteTrashAnswer(
        order number: Int64,
        node: NodeID,
        members: [NodeID],
        term: Term
    ) async throws(CatalogError) -> Bool {
        try check(term)
        let isDone: Bool? = state.withLockedValue { state in
            guard state.answerFailures == 0 else {
                state.answerFailures -= 1
                return nil
            }
            guard let index = state.orders.firstIndex(where: { $0.number == number }) else { return false }
            state.orders[index].answered.insert(node)
            let order = state.orders[index]
            guard order.answered.isSuperset(of: members),
                order.kind == .delete || state.restored.count == state.records.count
            else { return false }
            state.done.insert(number)
            return true
        }
        guard let isDone else { throw CatalogError(.unavailable, "away") }
        return isDone
    }

    func noteTrashObstacle(order number: Int64, _ note: String, term: Term) async throws(CatalogError) {
        state.withLockedValue { $0.notes.append(note) }
    }
}

/// A storage node that keeps the words it was given, and gives out what the latest of them does not delete.
private final class MemoryNode: TrashPeer {
    struct State {
        var held: Set<RecordID>
        var words: [RecordID: [RecordAmendment]] = [:]
        var amendCount = 0
        var failsAfter = Int.max
        var failure = ReplicationError(.connectionLost, "away")
    }

    let id: NodeID
    let name: String
    let state: NIOLockedValueBox<State>

    init(_ number: UInt64, holding records: [RecordID]) {
        id = NodeID(high: 1, low: number)
        name = "storage-\(number)"
        state = NIOLockedValueBox(State(held: Set(records)))
    }

    func amend(_ amendment: RecordAmendment, _ stamp: OrderStamp) async throws(ReplicationError) {
        let failure: ReplicationError? = state.withLockedValue { state in
            guard state.amendCount < state.failsAfter else { return state.failure }
            state.amendCount += 1
            let words = state.words[amendment.recordID] ?? []
            if let same = words.first(where: { $0.order == amendment.order }) {
                return same == amendment ? nil : ReplicationError(.conflict, "another word has this place")
            }
            state.words[amendment.recordID] = words + [amendment]
            return nil
        }
        if let failure { throw failure }
    }

    func gives(_ id: RecordID) async throws(ReplicationError) -> Bool {
        state.withLockedValue { state in state.held.contains(id) && !isDeleted(id, state) }
    }

    func isDeleted(_ id: RecordID) -> Bool { state.withLockedValue { isDeleted(id, $0) } }

    private func isDeleted(_ id: RecordID, _ state: State) -> Bool {
        state.words[id]?.max { $0.order < $1.order }?.kind == .tombstone
    }
}

struct TrashRoundTests {
    private static let records: [RecordID] = (0..<2500).compactMap { RecordID(high: 7, low: UInt64($0)) }

    private static func order(_ number: Int64, _ kind: TrashOrder.Kind, term: UInt64 = 5) -> TrashOrder {
        TrashOrder(
            number: number,
            deletion: 1,
            kind: kind,
            term: Term(rawValue: term),
            referenceHigh: 1,
            referenceLow: UInt64(number),
            issuedAtMilliseconds: 1_700_000_000_000,
            reason: "why"
        )
    }

    private func round(
        _ ledger: MemoryLedger,
        _ peers: [MemoryNode],
        of all: [MemoryNode],
        term: UInt64 = 5
    ) -> TrashRound {
        TrashRound(
            ledger: ledger,
            peers: peers,
            members: all.map(\.id),
            stamp: OrderStamp(term: Term(rawValue: term), mapEpoch: MapEpoch(rawValue: 1)),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
    }

    @Test func `every member is told of every record, one that is away when it is back`() async throws {
        let records = Self.records
        let nodes = (1...3).map { MemoryNode($0, holding: records) }
        let ledger = MemoryLedger([Self.order(1, .delete)], records: records)
        #expect(try await round(ledger, Array(nodes.prefix(2)), of: nodes).run(looksBack: true) == [1])
        #expect(nodes[0].isDeleted(records[2499]) && nodes[1].isDeleted(records[0]) && !nodes[2].isDeleted(records[0]))
        #expect(ledger.state.withLockedValue { $0.notes } == ["1 storage nodes are away"])

        #expect(try await round(ledger, nodes, of: nodes).run(looksBack: false) == [])
        #expect(records.allSatisfy { nodes[2].isDeleted($0) })
        #expect(nodes[0].state.withLockedValue { $0.amendCount } == records.count, "told once")
        // A node that joins later is told when it is a member.
        let late = MemoryNode(4, holding: records)
        #expect(try await round(ledger, nodes + [late], of: nodes + [late]).run(looksBack: false) == [])
        #expect(!late.isDeleted(records[0]))
        #expect(try await round(ledger, nodes + [late], of: nodes + [late]).run(looksBack: true) == [])
        #expect(late.isDeleted(records[0]))
    }

    @Test func `what broke off is told again with the same place, by another coordinator, too`() async throws {
        let records = Array(Self.records.prefix(100))
        let nodes = (1...2).map { MemoryNode($0, holding: records) }
        let ledger = MemoryLedger([Self.order(1, .delete)], records: records)
        nodes[1].state.withLockedValue { $0.failsAfter = 40 }
        #expect(try await round(ledger, nodes, of: nodes).run(looksBack: true) == [1])
        #expect(ledger.state.withLockedValue { $0.orders[0].answered } == [nodes[0].id])
        #expect(ledger.state.withLockedValue { $0.notes.last?.hasPrefix("storage-2: ") ?? false })

        // Another has taken over: the old one stops, the new one goes on, and loses the catalog before it can note it.
        nodes[1].state.withLockedValue { $0.failsAfter = .max }
        ledger.state.withLockedValue {
            $0.term = Term(rawValue: 6)
            $0.answerFailures = 1
        }
        await #expect(throws: TrashRound.Obstacle.staleTerm) {
            _ = try await round(ledger, nodes, of: nodes).run(looksBack: false)
        }
        await #expect(throws: TrashRound.Obstacle.self) {
            _ = try await round(ledger, nodes, of: nodes, term: 6).run(looksBack: true)
        }
        #expect(try await round(ledger, nodes, of: nodes, term: 6).run(looksBack: true) == [])
        #expect(records.allSatisfy { nodes[1].isDeleted($0) })
        let places = nodes[1].state.withLockedValue { Set($0.words.values.flatMap { $0.map(\.order) }) }
        #expect(places == [RecordAmendment.Order(term: Term(rawValue: 5), sequence: 1)])
    }

    @Test func `a node that knows of another coordinator ends the round`() async throws {
        let records = Array(Self.records.prefix(3))
        let node = MemoryNode(1, holding: records)
        node.state.withLockedValue {
            $0.failsAfter = 0
            $0.failure = ReplicationError(.staleTerm, "a higher term was seen")
        }
        let ledger = MemoryLedger([Self.order(1, .delete)], records: records)
        await #expect(throws: TrashRound.Obstacle.staleTerm) {
            _ = try await round(ledger, [node], of: [node]).run(looksBack: true)
        }
    }

    @Test func `an instance is given back when a node gives it out again`() async throws {
        let records = Array(Self.records.prefix(50))
        // The first has all, the second half of them, and is away.
        let nodes = [
            MemoryNode(1, holding: Array(records.prefix(40))), MemoryNode(2, holding: Array(records.suffix(20))),
        ]
        let ledger = MemoryLedger([Self.order(1, .delete)], records: records)
        #expect(try await round(ledger, nodes, of: nodes).run(looksBack: true) == [])
        ledger.state.withLockedValue { $0.orders = [Self.order(2, .undelete)] }
        #expect(try await round(ledger, [nodes[0]], of: nodes).run(looksBack: true) == [2])
        #expect(ledger.state.withLockedValue { $0.restored } == Set(records.prefix(40)))
        let note = try #require(ledger.state.withLockedValue { $0.notes.last })
        #expect(note == "10 records are on no storage node that answers; 1 storage nodes are away")
        #expect(try await round(ledger, nodes, of: nodes).run(looksBack: false) == [])
        #expect(ledger.state.withLockedValue { $0.restored } == Set(records))
        #expect(!nodes[1].isDeleted(records[49]))
    }

    @Test func `an undelete that comes before its tombstone counts all the same`() async throws {
        let records = Array(Self.records.prefix(3))
        let node = MemoryNode(1, holding: records)
        let ledger = MemoryLedger([Self.order(2, .undelete)], records: records)
        #expect(try await round(ledger, [node], of: [node]).run(looksBack: true) == [])
        ledger.state.withLockedValue { $0.orders = [Self.order(1, .delete)] }
        #expect(try await round(ledger, [node], of: [node]).run(looksBack: true) == [])
        #expect(records.allSatisfy { !node.isDeleted($0) })
    }

    @Test func `a record that is held stays, and the order says why`() async throws {
        let records = Array(Self.records.prefix(3))
        let node = MemoryNode(1, holding: records)
        node.state.withLockedValue {
            $0.failsAfter = 1
            $0.failure = ReplicationError(.held, "a hold forbids to delete the record")
        }
        let ledger = MemoryLedger([Self.order(1, .delete)], records: records)
        #expect(try await round(ledger, [node], of: [node]).run(looksBack: true) == [1])
        #expect(try await round(ledger, [node], of: [node]).run(looksBack: true, resting: [1]) == [1])
        #expect(ledger.state.withLockedValue { $0.notes.count } == 1, "left alone for a while")
    }

    @Test func `what is in packs only is given back without any node, as long as a pack is sound`() async throws {
        let records = Array(Self.records.prefix(4))
        // A node has the first, packs have the second and third, nobody has the last.
        let node = MemoryNode(1, holding: [records[0]])
        let ledger = MemoryLedger([Self.order(1, .undelete)], records: records)
        ledger.state.withLockedValue { $0.packed = [records[1], records[2]] }
        #expect(try await round(ledger, [node], of: [node]).run(looksBack: true) == [1])
        #expect(ledger.state.withLockedValue { $0.restored } == Set(records.prefix(3)))
        #expect(ledger.state.withLockedValue { $0.notes.last?.contains("1 records are on no storage node") } == true)
        // Its pack is read again, and is sound.
        ledger.state.withLockedValue { $0.packed = Set(records) }
        #expect(try await round(ledger, [node], of: [node]).run(looksBack: false) == [])
        #expect(ledger.state.withLockedValue { $0.restored } == Set(records))
    }
}
