// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Repair

/// The ledger as the real comparison of one coordinator asks it.
extension SimulatedLedger: ComparisonLedger {
    func namedCopies(
        in range: ClosedRange<RecordID>,
        after: RecordID?,
        limit: Int
    ) async throws(CatalogError) -> [NamedCopies] {
        try await ask { [ledger] in ledger.namedCopies(in: range, after: after, limit: limit) }
    }

    func explain(_ records: [RecordID]) async throws(CatalogError) -> (trashed: Int, orphans: Int) {
        try await ask { [ledger] in ledger.explain(records) }
    }

    func comparisonPosition() async throws(CatalogError) -> ComparisonPosition {
        try await ask { [ledger] in
            let (position, now) = (ledger.position, ledger.world.now)
            return ComparisonPosition(
                group: position.group ?? ledger.groups.first,
                age: position.steppedAt.map { .microseconds(now - $0) }
            )
        }
    }

    func noteComparison(
        of group: PlacementGroup,
        _ counts: ComparisonCounts,
        term: Term
    ) async throws(CatalogError) {
        try await ask(under: term) { [ledger] in ledger.noteComparison(of: group) }
    }

    func reportMissing(_ copies: [(record: RecordID, node: NodeID)]) async throws(CatalogError) {
        guard !copies.isEmpty else { return }
        try await ask { [ledger] in ledger.reportMissing(copies) }
    }

    func missingCopies(
        on nodes: [NodeID],
        limit: Int,
        term: Term
    ) async throws(CatalogError) -> [MissingCopy] {
        try await ask(under: term) { [ledger] in ledger.missingDue(on: nodes, limit: limit) }
    }

    func settleMissing(_ copy: MissingCopy, term: Term) async throws(CatalogError) {
        try await ask(under: term) { [ledger] in ledger.settle(copy) }
    }

    func uncount(
        _ copy: MissingCopy,
        from placement: Int32,
        to newPlacement: Int32,
        note: String,
        term: Term
    ) async throws(CatalogError) -> Bool {
        try await ask(under: term) { [ledger] in
            ledger.uncount(copy, from: placement, to: newPlacement, under: term)
        }
    }

    func recount(
        _ record: RecordID,
        on node: NodeID,
        from placement: Int32,
        to newPlacement: Int32,
        term: Term
    ) async throws(CatalogError) -> Bool {
        try await ask(under: term) { [ledger] in
            ledger.recount(record, on: node, from: placement, to: newPlacement, under: term)
        }
    }

    func postponeMissing(
        _ copy: MissingCopy,
        isLost: Bool,
        pause: Duration,
        note: String,
        term: Term
    ) async throws(CatalogError) {
        try await ask(under: term) { [ledger] in ledger.postpone(copy, isLost: isLost, pause: pause, note: note) }
    }
}

/// Which group is compared after another.
// Safety: used on its world's one thread, where `WorldExecutor` runs the tasks that have it.
final class ComparedGroups: @unchecked Sendable {
    private let ledger: LedgerModel

    init(_ ledger: LedgerModel) { self.ledger = ledger }

    func group(after group: PlacementGroup) -> PlacementGroup { ledger.group(after: group) }
}
