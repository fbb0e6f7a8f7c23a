// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import ReplicationProtocol

/// Compares one placement group: the catalog's rows with what the nodes list.
///
/// In pages of ids, out of indexes on both sides: 16 bytes a copy, and nothing is read from a disk of records.
struct GroupComparison: Sendable {
    private static let rowCount = 1024
    private static let listCount = 4096

    /// What came out.
    struct Outcome: Sendable {
        var counts = ComparisonCounts()
        var missing: [(record: RecordID, node: NodeID)] = []
        /// The first of those that are not counted.
        var uncounted: [UncountedCopy] = []
    }

    let ledger: any ComparisonLedger

    func run(_ group: PlacementGroup, _ view: ComparisonView) async throws(CatalogError) -> Outcome {
        var outcome = Outcome()
        let start = UInt64(group.rawValue) << 48
        guard let first = RecordID(high: start, low: 0), let last = RecordID(high: start | ~0 >> 16, low: .max) else {
            return outcome
        }
        // One that does not answer is not asked again for the rest of the group.
        var peers = view.peers.values.filter { view.trusted.contains($0.id) }.sorted { $0.id < $1.id }
        var after: RecordID?
        while !Task.isCancelled {
            let rows = try await ledger.namedCopies(in: first...last, after: after, limit: Self.rowCount)
            let isLast = rows.count < Self.rowCount
            let end = isLast ? last : rows.last?.record ?? last
            let listings = await list(peers, group, after: after, upTo: end)
            peers.removeAll { listings[$0.id] == nil }
            let page = PageComparison(rows: rows, listings: listings, members: Set(view.members.keys))
            let (trashed, orphans) = try await ledger.explain(page.unnamed)
            outcome.counts.presentCount += page.presentCount
            outcome.counts.unaskedCount += page.unaskedCount
            outcome.counts.missingCount += page.missing.count
            outcome.counts.uncountedCount += page.uncounted.count
            outcome.counts.trashedCount += trashed
            outcome.counts.orphanCount += orphans
            outcome.missing += page.missing
            outcome.uncounted += page.uncounted.prefix(max(0, UncountedCopies.mostOfAGroup - outcome.uncounted.count))
            guard !isLast else { break }
            after = end
        }
        return outcome
    }

    /// What each of the nodes lists behind `after`, up to and with `end`; without those that could not say all of it.
    private func list(
        _ peers: [any ComparisonPeer],
        _ group: PlacementGroup,
        after: RecordID?,
        upTo end: RecordID
    ) async -> [NodeID: Set<RecordID>] {
        await withTaskGroup(of: (NodeID, Set<RecordID>?).self) { tasks in
            for peer in peers {
                tasks.addTask { (peer.id, await Self.list(peer, group, after: after, upTo: end)) }
            }
            var listings: [NodeID: Set<RecordID>] = [:]
            for await (node, listing) in tasks { listings[node] = listing }
            return listings
        }
    }

    private static func list(
        _ peer: any ComparisonPeer,
        _ group: PlacementGroup,
        after: RecordID?,
        upTo end: RecordID
    ) async -> Set<RecordID>? {
        var listed: Set<RecordID> = []
        var after = after
        while true {
            let page: [RecordID]
            do throws(ReplicationError) {
                page = try await peer.list(group, after: after, limit: listCount)
            } catch {
                // Its copies are counted as not asked for, and have their turn in the next pass.
                return nil
            }
            listed.formUnion(page.prefix { $0 <= end })
            guard page.count >= listCount, let last = page.last, last < end else { return listed }
            after = last
        }
    }
}
