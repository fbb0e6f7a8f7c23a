// SPDX-License-Identifier: Apache-2.0

import Catalog
package import Placement
package import Reconciliation
import ReplicationProtocol

/// Looks at where all copies are, and writes down where that is not where they are wanted.
package struct RepairSurvey: Sendable {
    private let ledger: any RepairLedger
    private let copies: Int

    /// Compares with so many copies of each instance.
    package init(ledger: any RepairLedger, copies: Int) {
        self.ledger = ledger
        self.copies = copies
    }

    /// All differences, the most urgent first.
    package func run(_ view: RepairView) async throws(RepairObstacle) -> [Difference] {
        do throws(CatalogError) {
            let sets = try await ledger.placedGroups().map { placed in
                ActualSet(placement: placed.placement, group: placed.group, nodes: placed.nodes)
            }
            let differences = view.planner.plan(sets)
            try await ledger.replaceRepairBacklog(
                differences.map { RepairDifference($0) },
                copies: copies,
                term: view.stamp.term
            )
            return differences
        } catch {
            throw RepairObstacle(error)
        }
    }

    /// Counts instances of some of the differences; false when all have been counted.
    package func count(_ term: Term) async throws(RepairObstacle) -> Bool {
        do throws(CatalogError) {
            return try await ledger.countRepairBacklog(limit: 4, term: term) > 0
        } catch {
            throw RepairObstacle(error)
        }
    }
}
