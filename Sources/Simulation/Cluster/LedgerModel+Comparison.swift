// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Repair

/// Catalog and nodes compared: what the functions of `Migration16Comparison` do.
extension LedgerModel {
    /// A copy that the catalog names and its node did not have.
    struct Missing {
        enum State {
            /// To be looked at.
            case waiting
            /// Counted no more.
            case uncounted
            /// No good copy is known anywhere.
            case lost
        }

        var state = State.waiting
        var attemptCount = 0
        var due: Int64
        var note = ""
    }

    /// Where the comparison goes on; only groups that a run has records in are compared.
    struct Position {
        var group: PlacementGroup?
        var steppedAt: Int64?
    }

    /// The group that is compared after another.
    func group(after group: PlacementGroup) -> PlacementGroup { groups.first { $0 > group } ?? groups.first ?? group }

    func namedCopies(in range: ClosedRange<RecordID>, after: RecordID?, limit: Int) -> [NamedCopies] {
        let rows = catalog.live.filter { row in
            range.contains(row.recordID) && after.map { row.recordID > $0 } ?? true
        }
        return rows.prefix(limit).map { NamedCopies(record: $0.recordID, nodes: $0.nodes.sorted()) }
    }

    func explain(_ records: [RecordID]) -> (trashed: Int, orphans: Int) {
        let live = Set(catalog.live.map(\.recordID))
        let unnamed = records.filter { !live.contains($0) }
        let trashed = unnamed.count { catalog.deleted.contains($0) }
        return (trashed, unnamed.count - trashed)
    }

    /// Once only: what another coordinator has noted is left as it is.
    func noteComparison(of group: PlacementGroup) {
        guard position.group ?? groups.first == group else { return }
        position = Position(group: self.group(after: group), steppedAt: world.now)
    }

    /// As far as the catalog still names them.
    func reportMissing(_ copies: [(record: RecordID, node: NodeID)]) {
        let rows = catalog.live
        for copy in copies where rows.contains(where: { $0.recordID == copy.record && $0.nodes.contains(copy.node) }) {
            let key = DropKey(record: copy.record, node: copy.node)
            if let known = missing[key], known.state != .uncounted { continue }
            missing[key] = Missing(due: world.now)
        }
    }

    func missingDue(on nodes: [NodeID], limit: Int) -> [MissingCopy] {
        for (key, copy) in missing where copy.state != .uncounted && catalog.service(of: key.node) == .removed {
            missing[key] = nil
        }
        let due = missing.filter { key, copy in
            copy.state != .uncounted && copy.due <= world.now && nodes.contains(key.node)
        }.sorted { left, right in
            (left.value.due, left.key.record, left.key.node) < (right.value.due, right.key.record, right.key.node)
        }
        let rows = catalog.live
        return due.prefix(limit).map { key, copy in
            let row = rows.first { $0.recordID == key.record }
            return MissingCopy(
                record: key.record,
                node: key.node,
                attemptCount: copy.attemptCount,
                byteCount: 2_000,
                placement: row.map { number(of: $0.nodes) },
                nodes: row?.nodes.sorted() ?? [],
                sopInstanceUID: row?.instance ?? ""
            )
        }
    }

    func settle(_ copy: MissingCopy) {
        let key = DropKey(record: copy.record, node: copy.node)
        if missing[key]?.state != .uncounted { missing[key] = nil }
    }

    func uncount(_ copy: MissingCopy, from old: Int32, to new: Int32, under term: Term) -> Bool {
        let (before, left) = (placements[Int(old)], placements[Int(new)])
        guard before.contains(copy.node), left == before.filter({ $0 != copy.node }), !left.isEmpty else {
            world.violate("a copy is to be counted no more on a node that is not one of several that are counted")
            return false
        }
        guard let row = catalog.live.first(where: { $0.recordID == copy.record }), number(of: row.nodes) == old else {
            return false
        }
        catalog.place(row, on: left)
        let key = DropKey(record: copy.record, node: copy.node)
        missing[key]?.state = .uncounted
        comparisonOracle?.uncounted(copy.record, on: copy.node, besides: left, under: term)
        return true
    }

    /// Never a copy that its node may be dropping.
    func recount(_ record: RecordID, on node: NodeID, from old: Int32, to new: Int32, under term: Term) -> Bool {
        let (before, after) = (placements[Int(old)], placements[Int(new)])
        guard after.contains(node), before == after.filter({ $0 != node }) else {
            world.violate("a copy is to be counted on a node that is counted already")
            return false
        }
        let isDropping = drops[DropKey(record: record, node: node)]?.state == .ordered
        guard let row = catalog.live.first(where: { $0.recordID == record }), number(of: row.nodes) == old,
            !isDropping || world.has(.recountDropping)
        else { return false }
        catalog.place(row, on: after)
        comparisonOracle?.recounted(record, on: node, isDropping: isDropping, under: term)
        return true
    }

    func postpone(_ copy: MissingCopy, isLost: Bool, pause: Duration, note: String) {
        let key = DropKey(record: copy.record, node: copy.node)
        guard var known = missing[key], known.state != .uncounted else { return }
        if isLost { known.state = .lost }
        known.attemptCount += 1
        known.due = world.now + Int64(pause / .microseconds(1))
        known.note = note
        missing[key] = known
        if isLost { comparisonOracle?.declaredLost(copy.record, note) }
    }
}
