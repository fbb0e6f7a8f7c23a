// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Logging
import NIOCore
package import Placement
package import ReplicationProtocol

/// What the coordinator needs of the catalog to carry out what was wanted of the trash: the catalog, or a stand-in in tests.
package protocol TrashLedger: Sendable {
    func openTrashOrders(
        term: Term,
        members: [NodeID],
        looksBack: Bool,
        limit: Int
    ) async throws(CatalogError) -> [TrashOrder]
    func records(ofDeletion deletion: Int64, after: RecordID?, limit: Int) async throws(CatalogError) -> [RecordID]
    /// Those of `records` that no node needs to have, because they are in cold packs only.
    func packed(among records: [RecordID], ofDeletion deletion: Int64) async throws(CatalogError) -> [RecordID]
    func restore(_ records: [RecordID], ofDeletion deletion: Int64, term: Term) async throws(CatalogError) -> Int
    func noteTrashAnswer(
        order number: Int64,
        node: NodeID,
        members: [NodeID],
        term: Term
    ) async throws(CatalogError) -> Bool
    func noteTrashObstacle(order number: Int64, _ note: String, term: Term) async throws(CatalogError)
}

/// A storage node that takes tombstones: a connection, or a stand-in in tests.
package protocol TrashPeer: AmendmentPeer {
    /// Whether the node gives the record out.
    func gives(_ id: RecordID) async throws(ReplicationError) -> Bool
}

/// One look at the orders that are open: tells every node that answers what it was not told yet.
///
/// Every order has its place, by term and number, before the first node hears of it, and keeps it whoever hands it in; so
/// each step may be repeated, after a crash or by another coordinator, and nodes may hear of orders in any sequence: the
/// later word counts. An order is done when all members of the map have all its amendments on their disks; until then a
/// record is told of again, and a node that was away is told when it is back.
package struct TrashRound: Sendable {
    /// Records of which a node is told at once.
    private static let window = 32
    private static let pageCount = 1000
    /// Orders of one round.
    private static let orderLimit = 100

    let ledger: any TrashLedger
    /// The members that answer.
    let peers: [any TrashPeer]
    /// All members of the map.
    let members: [NodeID]
    let stamp: OrderStamp
    let logger: Logger

    package init(
        ledger: any TrashLedger,
        peers: [any TrashPeer],
        members: [NodeID],
        stamp: OrderStamp,
        logger: Logger
    ) {
        self.ledger = ledger
        self.peers = peers
        self.members = members
        self.stamp = stamp
        self.logger = logger
    }

    /// Why something could not be done now.
    package enum Obstacle: Error, Sendable, Equatable {
        /// Another coordinator leads.
        case staleTerm
        /// The catalog does not answer.
        case catalog(String)
    }

    /// Tells the nodes; returns the numbers of the orders that are still open afterwards.
    ///
    /// `looksBack`: also of what was done, because the members have changed. Orders in `resting` are left alone.
    package func run(looksBack: Bool, resting: Set<Int64> = []) async throws(Obstacle) -> Set<Int64> {
        var open: Set<Int64> = []
        let orders: [TrashOrder]
        do throws(CatalogError) {
            orders = try await ledger.openTrashOrders(
                term: stamp.term,
                members: members,
                looksBack: looksBack,
                limit: Self.orderLimit + resting.count
            )
        } catch {
            throw Obstacle(error)
        }
        for order in orders {
            let isLeftAlone = Task.isCancelled || resting.contains(order.number)
            let isDone = isLeftAlone ? false : try await carryOut(order)
            if !isDone { open.insert(order.number) }
        }
        return open
    }

    /// Whether the order is done now.
    private func carryOut(_ order: TrashOrder) async throws(Obstacle) -> Bool {
        var obstacles: [String] = []
        var isDone = false
        let waiting = peers.filter { !order.answered.contains($0.id) }
        // When all have answered and it is not done, the instances were not back then, or the members are fewer now.
        let told = waiting.isEmpty ? peers : waiting
        var answered: [any TrashPeer] = []
        for (peer, refusal) in try await tell(told, of: order) {
            if let refusal { obstacles.append("\(peer.name): \(refusal)") } else { answered.append(peer) }
        }
        if order.kind == .undelete, !order.isRestored, let obstacle = try await giveBack(order) {
            obstacles.append(obstacle)
        }
        do throws(CatalogError) {
            for peer in answered where !isDone {
                isDone = try await ledger.noteTrashAnswer(
                    order: order.number,
                    node: peer.id,
                    members: members,
                    term: stamp.term
                )
            }
            if !isDone {
                let reached = order.answered.union(answered.map(\.id))
                let away = members.filter { id in !reached.contains(id) && !peers.contains { $0.id == id } }
                if !away.isEmpty { obstacles.append("\(away.count) storage nodes are away") }
                try await ledger.noteTrashObstacle(
                    order: order.number,
                    obstacles.joined(separator: "; "),
                    term: stamp.term
                )
            }
        } catch {
            throw Obstacle(error)
        }
        if isDone {
            logger.notice(
                "all storage nodes have been told",
                metadata: ["of": "\(order.kind) \(order.deletion)", "nodes": "\(members.count)"]
            )
        }
        return isDone
    }

    /// Tells nodes of all records of an order; what each refused, or nil.
    private func tell(
        _ peers: [any TrashPeer],
        of order: TrashOrder
    ) async throws(Obstacle) -> [(peer: any TrashPeer, refusal: ReplicationError?)] {
        var results: [(peer: any TrashPeer, refusal: ReplicationError?)] = peers.map { ($0, nil) }
        var after: RecordID?
        repeat {
            let page = try await records(of: order, after: after)
            await withTaskGroup(of: (Int, ReplicationError?).self) { tasks in
                for (index, result) in results.enumerated() where result.refusal == nil {
                    let peer = result.peer
                    tasks.addTask { (index, await peer.amend(page.map { order.amendment(of: $0) }, self.stamp)) }
                }
                for await (index, refusal) in tasks { results[index].refusal = refusal }
            }
            // A stale coordinator's orders are refused by every node; it stops at the first.
            if results.contains(where: { $0.refusal?.code == .staleTerm }) { throw .staleTerm }
            after = page.count == Self.pageCount ? page.last : nil
        } while after != nil && !Task.isCancelled
        if Task.isCancelled {
            return peers.map { ($0, ReplicationError(.cancelled, "the coordinator stops")) }
        }
        return results
    }

    private func records(of order: TrashOrder, after: RecordID?) async throws(Obstacle) -> [RecordID] {
        do throws(CatalogError) {
            return try await ledger.records(ofDeletion: order.deletion, after: after, limit: Self.pageCount)
        } catch {
            throw Obstacle(error)
        }
    }

    /// Enters the instances again whose records a node gives out; says what is in the way of the others.
    ///
    /// Not before: the catalog names nothing that cannot be read.
    private func giveBack(_ order: TrashOrder) async throws(Obstacle) -> String? {
        var absent = 0
        var after: RecordID?
        repeat {
            let page = try await records(of: order, after: after)
            do throws(CatalogError) {
                let packed = Set(try await ledger.packed(among: page, ofDeletion: order.deletion))
                let given = await given(among: page.filter { !packed.contains($0) }) + packed.sorted()
                absent += page.count - given.count
                // Also for none: whether all are back is found out by it.
                _ = try await ledger.restore(given, ofDeletion: order.deletion, term: stamp.term)
            } catch {
                throw Obstacle(error)
            }
            after = page.count == Self.pageCount ? page.last : nil
        } while after != nil && !Task.isCancelled
        return absent == 0 ? nil : "\(absent) records are on no storage node that answers"
    }

    private func given(among records: [RecordID]) async -> [RecordID] {
        await withTaskGroup(of: RecordID?.self) { tasks in
            var next = records.startIndex
            func start() {
                guard next < records.endIndex else { return }
                let id = records[next]
                next += 1
                tasks.addTask { await self.isGiven(id) ? id : nil }
            }
            for _ in 0..<Self.window { start() }
            var given: [RecordID] = []
            while let id = await tasks.next() {
                if let id { given.append(id) }
                start()
            }
            return given.sorted()
        }
    }

    private func isGiven(_ id: RecordID) async -> Bool {
        for peer in peers {
            do throws(ReplicationError) {
                if try await peer.gives(id) { return true }
            } catch {
                // Another may have it; who does not answer is asked again in the next round.
                continue
            }
        }
        return false
    }
}

extension TrashRound.Obstacle {
    fileprivate init(_ error: CatalogError) {
        self = error.code == .staleTerm ? .staleTerm : .catalog("\(error)")
    }
}

extension TrashOrder {
    /// What a node is told of a record: the same for whoever hands it in.
    fileprivate func amendment(of record: RecordID) -> RecordAmendment {
        RecordAmendment(
            recordID: record,
            kind: kind == .delete ? .tombstone : .undelete,
            order: RecordAmendment.Order(term: term, sequence: UInt64(clamping: number)),
            reference: ReferenceID(high: referenceHigh, low: referenceLow),
            issuedAtMilliseconds: issuedAtMilliseconds,
            keptDays: kind == .delete ? UInt16(clamping: graceDays) : 0,
            payload: ByteBuffer(string: reason)
        )
    }
}

extension TrashLedger {
    /// For ledgers that know of no packs.
    package func packed(
        among records: [RecordID],
        ofDeletion deletion: Int64
    ) async throws(CatalogError) -> [RecordID] { [] }
}

extension Catalog: TrashLedger {}
