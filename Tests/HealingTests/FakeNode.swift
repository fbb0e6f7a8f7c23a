// SPDX-License-Identifier: Apache-2.0

import Healing
import NIOConcurrencyHelpers
import Placement
import ReplicationProtocol
import Testing

/// A storage node of memory: it has records, misses some, and takes what it is given.
final class FakeNode: HealingPeer {
    struct State {
        var records: Set<RecordID> = []
        /// What it says to be damaged, as long as it is not in `records`.
        var missing: [RecordID] = []
        /// How many of them it names at once.
        var pageCount = 1000
        /// Damage without names; 0 for none.
        var unnamed: UInt64 = 0
        /// What that becomes when its records are listed.
        var unnamedWhenListed: UInt64?
        var amendments: [RecordAmendment] = []
        /// Whether it can read all amendments that it has.
        var amendmentsAreComplete = true
        /// What every question and order is answered with.
        var failure: ReplicationError?
        var pullFailure: ReplicationError?
        var pulled: [RecordID] = []
        /// What HEALED came with.
        var healed: [UInt64?] = []
    }

    let id: NodeID
    let name: String
    let host = "127.0.0.1"
    let port = 1
    private let state = NIOLockedValueBox(State())

    init(_ number: UInt64) {
        self.id = NodeID(high: 1, low: number)
        self.name = "storage-\(number)"
    }

    var now: State { state.withLockedValue { $0 } }

    func change(_ body: (inout State) -> Void) { state.withLockedValue { body(&$0) } }

    private func answer<Value>(
        _ body: (inout State) throws(ReplicationError) -> Value
    ) throws(ReplicationError) -> Value {
        try state.withLockedValue { state -> Result<Value, ReplicationError> in
            if let failure = state.failure { return .failure(failure) }
            return Result { () throws(ReplicationError) in try body(&state) }
        }.get()
    }

    func damage(from first: DamageCursor) async throws(ReplicationError) -> DamageReport {
        try answer { state in
            let all = state.missing.filter { !state.records.contains($0) || first.offset > 0 }
            let start = Int(first.offset)
            let end = min(all.count, start + state.pageCount)
            return DamageReport(
                missing: Array(all[min(start, end)..<end]),
                isComplete: state.unnamed == 0,
                next: end < all.count ? DamageCursor(disk: 0, segment: 0, offset: UInt64(end)) : nil,
                unnamed: state.unnamed
            )
        }
    }

    func pull(_ id: RecordID, from source: any HealingPeer, _ stamp: OrderStamp) async throws(ReplicationError) {
        let has = (source as? FakeNode)?.now.records.contains(id) ?? false
        try answer { (state) throws(ReplicationError) in
            state.pulled.append(id)
            if let failure = state.pullFailure { throw failure }
            guard has else { throw ReplicationError(.notFound, "not there") }
            guard !state.amendments.contains(where: { $0.recordID == id && $0.kind == .tombstone }) else {
                throw ReplicationError(.conflict, "it is deleted")
            }
            state.records.insert(id)
        }
    }

    func healed(_ stamp: OrderStamp, reconciled: UInt64?) async throws(ReplicationError) -> UInt64 {
        try answer { state in
            state.healed.append(reconciled)
            if let reconciled, reconciled == state.unnamed { state.unnamed = 0 }
            return UInt64(state.missing.count { !state.records.contains($0) }) + (state.unnamed == 0 ? 0 : 1)
        }
    }

    func list(_ group: PlacementGroup, after: RecordID?, limit: Int) async throws(ReplicationError) -> [RecordID] {
        try answer { state in
            if let unnamed = state.unnamedWhenListed { state.unnamed = unnamed }
            let ids = state.records.filter { id in id.group == group && (after.map { $0 < id } ?? true) }
            return Array(ids.sorted().prefix(limit))
        }
    }

    func amendments(
        from first: RecordID,
        firstOrder: RecordAmendment.Order,
        to last: RecordID
    ) async throws(ReplicationError) -> AmendmentPage {
        try answer { state in
            let wanted = state.amendments.filter {
                ($0.recordID, $0.order) >= (first, firstOrder) && $0.recordID <= last
            }
            return AmendmentPage(wanted, hasMore: false, isComplete: state.amendmentsAreComplete)
        }
    }

    func amend(_ amendment: RecordAmendment, _ stamp: OrderStamp) async throws(ReplicationError) {
        try answer { state in
            if !state.amendments.contains(amendment) { state.amendments.append(amendment) }
        }
    }
}

extension RecordAmendment {
    static func tombstone(_ id: RecordID) -> RecordAmendment { make(.tombstone, id) }

    static func hold(_ id: RecordID) -> RecordAmendment { make(.hold, id) }

    private static func make(_ kind: Kind, _ id: RecordID) -> RecordAmendment {
        RecordAmendment(
            recordID: id,
            kind: kind,
            order: Order(term: Term(rawValue: 1), sequence: 1),
            reference: ReferenceID(high: 1, low: 1),
            issuedAtMilliseconds: 0
        )
    }
}

/// A catalog into which a record of the node that is healed is entered while healing asks it.
final class CatchingUpCatalog: HealingCatalog {
    private let record: RecordID
    private let isEntered = NIOLockedValueBox(false)

    init(_ record: RecordID) { self.record = record }

    private func wasEntered() -> Bool {
        isEntered.withLockedValue { isEntered in
            defer { isEntered = true }
            return isEntered
        }
    }

    func records(on node: NodeID, after: RecordID?, limit: Int) async throws -> [RecordID] {
        wasEntered() ? [record] : []
    }

    func unknown(among ids: [RecordID]) async throws -> [RecordID] { wasEntered() ? [] : ids }
}

/// A catalog whose rows all name the node that is healed.
struct FakeCatalog: HealingCatalog {
    var rows: [RecordID]
    /// Rows that name other nodes.
    var others: [RecordID] = []

    func records(on node: NodeID, after: RecordID?, limit: Int) async throws -> [RecordID] {
        Array(rows.filter { id in after.map { $0 < id } ?? true }.prefix(limit))
    }

    func unknown(among ids: [RecordID]) async throws -> [RecordID] { ids.filter { !(rows + others).contains($0) } }
}
