// SPDX-License-Identifier: Apache-2.0

package import DICOMWeb
package import Logging

/// Looks instances up in the catalog, and on the storage nodes while the catalog is away.
///
/// Searches need the catalog: a node knows UIDs and nothing else.
package struct FallbackDirectory: InstanceDirectory {
    let catalog: any InstanceDirectory
    let nodes: RecordDirectory
    let health: CatalogHealth
    let logger: Logger

    package init(
        catalog: any InstanceDirectory,
        nodes: RecordDirectory,
        health: CatalogHealth,
        logger: Logger
    ) {
        self.catalog = catalog
        self.nodes = nodes
        self.health = health
        self.logger = logger
    }

    package func instances(of item: DICOMWebItem) async throws(RetrieveFailure) -> [StoredInstance] {
        if health.isAway { return try await find(item) }
        do throws(RetrieveFailure) {
            return try await catalog.instances(of: item)
        } catch {
            guard error.kind == .unavailable else { throw error }
            health.failed()
            return try await find(item)
        }
    }

    private func find(_ item: DICOMWebItem) async throws(RetrieveFailure) -> [StoredInstance] {
        let records = try await nodes.instances(study: item.study, instance: item.instance)
        logger.info(
            "without the catalog: found on the storage nodes",
            metadata: ["study": "\(item.study)", "instances": "\(records.count)"]
        )
        return records.map(\.storedInstance).filter { instance in
            item.series == nil || instance.seriesInstanceUID == item.series
        }
    }

    package func search(_ request: QIDORequest, limit: Int) async throws(RetrieveFailure) -> [SearchResult] {
        try await catalog.search(request, limit: limit)
    }
}
