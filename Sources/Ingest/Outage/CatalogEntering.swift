// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Placement

/// Where durable instances are entered: the catalog, or a stand-in in tests.
package protocol CatalogEntering: Sendable {
    func commit(_ entry: InstanceEntry) async throws(CatalogError) -> CommitOutcome
    /// Whether the instance of a record is in the trash.
    func isInTrash(record: RecordID) async throws(CatalogError) -> Bool
    /// Whether the catalog has an instance with that record.
    func isEntered(record: RecordID) async throws(CatalogError) -> Bool
}

extension CatalogEntering {
    /// For stand-ins that have no trash.
    package func isInTrash(record: RecordID) async throws(CatalogError) -> Bool { false }
}

extension Catalog: CatalogEntering {}

extension CatalogError {
    /// Whether the catalog may take the same entry later: it is away, has no room or too much to do, or did not say what
    /// became of it.
    package var isOutage: Bool {
        switch code {
        case .unavailable, .outcomeUnknown, .timedOut, .overloaded: true
        // Classes 53 (no disk, no memory, no connections), 57 (shutting down), 58 (I/O error), XX (its own data damaged).
        case .failed: ["53", "57", "58", "XX"].contains(sqlState.map { String($0.prefix(2)) } ?? "")
        default: false
        }
    }
}
