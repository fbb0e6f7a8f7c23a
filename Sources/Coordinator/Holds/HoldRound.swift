// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Logging
import NIOCore
package import Placement
package import ReplicationProtocol

/// What the coordinator needs of the catalog to tell storage nodes of holds: the catalog, or a stand-in in tests.
package protocol HoldLedger: Sendable {
    func refreshNodeHolds(
        term: Term,
        members: [NodeID],
        looksBack: Bool,
        issuedAtMilliseconds: Int64
    ) async throws(CatalogError)
    func openNodeHolds(term: Term, answering: [NodeID], limit: Int) async throws(CatalogError) -> [NodeHold]
    func records(ofHeldStudy study: String, after: RecordID?, limit: Int) async throws(CatalogError) -> [RecordID]
    func noteHoldAnswers(
        order number: Int64,
        nodes: [NodeID],
        members: [NodeID],
        term: Term
    ) async throws(CatalogError) -> Bool
    func holdArrivals(limit: Int) async throws(CatalogError) -> [HoldArrival]
    func finishHoldArrivals(
        _ arrivals: [HoldArrival],
        told: [NodeID],
        members: [NodeID],
        term: Term
    ) async throws(CatalogError)
}

/// One look at the holds that storage nodes are to know: tells every node that answers what it was not told yet.
///
/// As for the trash, an order has its place before the first node hears of it, and keeps it whoever hands it in; so every
/// step may be repeated, after a crash or by another coordinator. What a node knows already costs it a look into its index.
package struct HoldRound: Sendable {
    private static let pageCount = 1000
    /// Orders, and arrivals, of one round.
    private static let limit = 100
    private static let arrivalLimit = 1000
    /// The most bytes of a hold's name and reason that go with each of its records.
    private static let payloadByteCount = 1024

    let ledger: any HoldLedger
    /// The members that answer.
    let peers: [any AmendmentPeer]
    /// All members of the map.
    let members: [NodeID]
    let stamp: OrderStamp
    let logger: Logger

    package init(
        ledger: any HoldLedger,
        peers: [any AmendmentPeer],
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

    /// What is told of a record.
    private struct Word: Sendable {
        let record: RecordID
        let hold: NodeHold
    }

    /// Tells the nodes; false when one that answers refused something, so that there is no hurry to ask it again.
    ///
    /// `looksBack`: also those that are new of what was done.
    package func run(looksBack: Bool, issuedAtMilliseconds: Int64) async throws(CatalogError) -> Bool {
        try await ledger.refreshNodeHolds(
            term: stamp.term,
            members: members,
            looksBack: looksBack,
            issuedAtMilliseconds: issuedAtMilliseconds
        )
        var isDone = true
        let orders = try await ledger.openNodeHolds(term: stamp.term, answering: peers.map(\.id), limit: Self.limit)
        for order in orders where !Task.isCancelled {
            if try await !carryOut(order) { isDone = false }
        }
        // After the orders: what came before an order was taken up is in it.
        let arrivals = try await ledger.holdArrivals(limit: Self.arrivalLimit)
        if !arrivals.isEmpty, !Task.isCancelled {
            let words = arrivals.flatMap { arrival in arrival.holds.map { Word(record: arrival.record, hold: $0) } }
            let told = try await tell(peers, words)
            try await ledger.finishHoldArrivals(arrivals, told: told, members: members, term: stamp.term)
        }
        return isDone
    }

    /// Whether all nodes that answer have carried the order out.
    private func carryOut(_ order: NodeHold) async throws(CatalogError) -> Bool {
        var told = peers.filter { !order.answered.contains($0.id) }
        let count = told.count
        var after: RecordID?
        repeat {
            let page = try await ledger.records(ofHeldStudy: order.study, after: after, limit: Self.pageCount)
            let ids = try await tell(told, page.map { Word(record: $0, hold: order) })
            told = told.filter { ids.contains($0.id) }
            after = page.count == Self.pageCount ? page.last : nil
        } while after != nil && !told.isEmpty && !Task.isCancelled
        guard !Task.isCancelled, !told.isEmpty else { return false }
        let isDone = try await ledger.noteHoldAnswers(
            order: order.number,
            nodes: told.map(\.id),
            members: members,
            term: stamp.term
        )
        if isDone {
            logger.info(
                "all storage nodes have been told of a hold",
                metadata: ["hold": "\(order.hold)", "kind": "\(order.isHeld ? "hold" : "release")"]
            )
        }
        return told.count == count
    }

    /// Tells nodes, and says which have it all on their disks; throws `.staleTerm` when another coordinator leads.
    private func tell(_ peers: [any AmendmentPeer], _ words: [Word]) async throws(CatalogError) -> [NodeID] {
        var told: [NodeID] = []
        var isStale = false
        await withTaskGroup(of: (NodeID, ReplicationError?).self) { tasks in
            let amendments = words.map(Self.amendment)
            for peer in peers { tasks.addTask { (peer.id, await peer.amend(amendments, self.stamp)) } }
            for await (id, refusal) in tasks {
                guard let refusal else {
                    told.append(id)
                    continue
                }
                if refusal.code == .staleTerm { isStale = true }
                logger.debug("a storage node does not take holds now", metadata: ["reason": "\(refusal)"])
            }
        }
        if isStale { throw CatalogError(.staleTerm, "a storage node knows of a later coordinator") }
        return told
    }

    /// The same for whoever hands it in; number, name and reason are what a catalog that is made anew has of the hold.
    private static func amendment(_ word: Word) -> RecordAmendment {
        let hold = word.hold
        let words = "hold \(hold.hold)\n\(hold.name)\n\(hold.reason)"
        let limit = words.utf8.index(words.startIndex, offsetBy: payloadByteCount, limitedBy: words.endIndex)
        // Cut between characters: it is a text.
        var end = limit ?? words.endIndex
        while end.samePosition(in: words) == nil { end = words.utf8.index(before: end) }
        return RecordAmendment(
            recordID: word.record,
            kind: hold.isHeld ? .hold : .release,
            order: RecordAmendment.Order(term: hold.term, sequence: UInt64(clamping: hold.number)),
            reference: ReferenceID(high: hold.referenceHigh, low: hold.referenceLow),
            issuedAtMilliseconds: hold.issuedAtMilliseconds,
            payload: hold.isHeld ? ByteBuffer(substring: words[..<end]) : ByteBuffer()
        )
    }
}

extension Catalog: HoldLedger {}
