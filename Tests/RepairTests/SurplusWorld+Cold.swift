// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement

/// What is in cold packs only, of the catalog in memory.
extension SurplusWorld {
    func coldDrops(of nodes: [NodeID], limit: Int, term: Term) async throws(CatalogError) -> [UnconfirmedDrop] {
        try change(term, "cold") { state in
            var found: [UnconfirmedDrop] = []
            for (record, open) in state.unconfirmed.sorted(by: { $0.key < $1.key }) {
                guard let number = state.instances[record], state.placements[Int(number)].isEmpty else { continue }
                for node in open where nodes.contains(node) && found.count < limit {
                    found.append(
                        UnconfirmedDrop(
                            record: record,
                            node: node,
                            attemptCount: 0,
                            placement: number,
                            nodes: [],
                            isInSoundPack: state.packed.contains(record)
                        )
                    )
                }
            }
            return found
        }
    }

    func beginColdDrops(_ records: [RecordID], term: Term) async throws(CatalogError) -> Set<RecordID> {
        guard !records.isEmpty else { return [] }
        return try change(term, "prove") { state in
            let happens = state.beforeProof
            state.beforeProof = nil
            happens?(&state)
            return state.proven.intersection(records)
        }
    }
}
