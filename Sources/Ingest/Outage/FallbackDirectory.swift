// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import DICOMWeb
package import Logging

/// Looks instances up in the catalog, and on the storage nodes while the catalog is away or owed something of the study.
///
/// What was acknowledged during an outage is in the journal until the catalog has it: the catalog's "there is no such
/// instance" means nothing until then. The journal is this ingest node's; what others owe is not known here. Searches
/// need the catalog: a node knows UIDs and nothing else.
package struct FallbackDirectory: InstanceDirectory {
    let catalog: any InstanceDirectory
    let nodes: RecordDirectory
    let journal: CatalogJournal
    let health: CatalogHealth
    let logger: Logger

    package init(
        catalog: any InstanceDirectory,
        nodes: RecordDirectory,
        journal: CatalogJournal,
        health: CatalogHealth,
        logger: Logger
    ) {
        self.catalog = catalog
        self.nodes = nodes
        self.journal = journal
        self.health = health
        self.logger = logger
    }

    package func instances(of item: DICOMWebItem) async throws(RetrieveFailure) -> [StoredInstance] {
        if health.isAway { return try await find(item) }
        // Before the catalog is asked: what is settled between the two questions would be in neither.
        let isOwed = journal.owes(study: item.study)
        let known: [StoredInstance]
        do throws(RetrieveFailure) {
            known = try await catalog.instances(of: item)
        } catch {
            guard error.kind == .unavailable else { throw error }
            health.failed()
            return try await find(item)
        }
        guard isOwed, item.instance == nil || known.isEmpty else { return known }
        let uids = Set(known.map(\.sopInstanceUID))
        return known + (try await find(item)).filter { !uids.contains($0.sopInstanceUID) }
    }

    private func find(_ item: DICOMWebItem) async throws(RetrieveFailure) -> [StoredInstance] {
        let records = try await nodes.instances(study: item.study, instance: item.instance)
        logger.info(
            "what the catalog cannot tell was found on the storage nodes",
            metadata: ["instances": "\(records.count)"]
        )
        return records.map(\.storedInstance).filter { instance in
            item.series == nil || instance.seriesInstanceUID == item.series
        }
    }

    package func search(
        _ request: QIDORequest,
        after cursor: CatalogCursor?,
        limit: Int
    ) async throws(RetrieveFailure) -> SearchPage {
        try await catalog.search(request, after: cursor, limit: limit)
    }
}
