// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Placement

/// A copy on a node of which the catalog does not say that it has one.
package struct UncountedCopy: Hashable, Sendable {
    package let record: RecordID
    package let node: NodeID
    /// Where the instance's copies are counted.
    package let counted: [NodeID]

    package init(record: RecordID, node: NodeID, counted: [NodeID]) {
        self.record = record
        self.node = node
        self.counted = counted
    }
}

/// Rows of a range of ids of one group, and what nodes list of that range: how the two differ.
package struct PageComparison: Sendable {
    /// Copies that the catalog names and the node does not list.
    package private(set) var missing: [(record: RecordID, node: NodeID)] = []
    /// Copies that a node lists of a record whose row does not name it.
    package private(set) var uncounted: [UncountedCopy] = []
    /// Records without a row, each once.
    package private(set) var unnamed: [RecordID] = []
    package private(set) var presentCount = 0
    /// Copies on nodes that have listed nothing.
    package private(set) var unaskedCount = 0

    /// `rows` were read before the nodes were asked: what is entered in between is without a row, never without a copy.
    ///
    /// What is on a node that is no member any more is no copy.
    package init(rows: [NamedCopies], listings: [NodeID: Set<RecordID>], members: Set<NodeID>) {
        var rowOf: [RecordID: [NodeID]] = [:]
        for row in rows {
            rowOf[row.record] = row.nodes
            for node in row.nodes where members.contains(node) {
                if let listing = listings[node] {
                    if listing.contains(row.record) {
                        presentCount += 1
                    } else {
                        missing.append((row.record, node))
                    }
                } else {
                    unaskedCount += 1
                }
            }
        }
        var without: Set<RecordID> = []
        for (node, listing) in listings.sorted(by: { $0.key < $1.key }) {
            for record in listing {
                guard let nodes = rowOf[record] else {
                    without.insert(record)
                    continue
                }
                if !nodes.contains(node) {
                    uncounted.append(UncountedCopy(record: record, node: node, counted: nodes))
                }
            }
        }
        unnamed = without.sorted()
        // In an order that is not that of a set: only some of them have their turn.
        uncounted.sort { ($0.record, $0.node) < ($1.record, $1.node) }
    }
}
