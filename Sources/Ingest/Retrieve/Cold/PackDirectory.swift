// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Placement

/// Where it is looked up which packs hold a record: the catalog in production, a list in tests.
package protocol PackDirectory: Sendable {
    /// The packs that the record can be read from, the one that was read back last first.
    func packs(holding record: RecordID) async throws(RetrieveFailure) -> [ColdPack]
    /// Reports a pack that could not be read from as it should be.
    func doubt(_ pack: ColdPack, note: String) async
}

/// What the catalog knows of packs.
struct CatalogPacks: PackDirectory {
    let catalog: Catalog

    func packs(holding record: RecordID) async throws(RetrieveFailure) -> [ColdPack] {
        do throws(CatalogError) {
            return try await catalog.packs(holding: record)
        } catch {
            throw RetrieveFailure(error)
        }
    }

    func doubt(_ pack: ColdPack, note: String) async {
        // Whoever reads from it next reports it again.
        try? await catalog.doubt(pack, note: note)
    }
}
