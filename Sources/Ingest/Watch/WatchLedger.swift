// SPDX-License-Identifier: Apache-2.0

package import Catalog

/// Where samples are kept, and what is said of their instances, as the catalog has it.
package protocol WatchLedger: Sendable {
    func enterSample(
        _ instance: WatchedInstance,
        acceptedBy name: String,
        age: Duration,
        firstAgeSeconds: Int,
        limit: Int
    ) async throws(CatalogError) -> Bool

    func claimLooks(
        by holder: String,
        for claim: Duration,
        deference: Duration,
        except running: [Int64],
        limit: Int
    ) async throws(CatalogError) -> [WatchLook]

    func passLook(_ id: Int64, by holder: String, nextAgeSeconds: Int?) async throws(CatalogError) -> Bool

    func failLook(
        _ id: Int64,
        by holder: String,
        as failure: String,
        note: String,
        isAlarm: Bool,
        retryAfter delay: Duration
    ) async throws(CatalogError) -> Bool

    func dropSample(_ id: Int64, by holder: String) async throws(CatalogError) -> Bool

    func watchOverview() async throws(CatalogError) -> WatchOverview

    func watchStanding(of instance: WatchedInstance) async throws(CatalogError) -> WatchStanding
}

extension Catalog: WatchLedger {
    package func watchStanding(of instance: WatchedInstance) async throws(CatalogError) -> WatchStanding {
        // What is taken back meanwhile is found next time.
        let isInTrash = try await isInTrash(record: instance.recordID)
        let row = try await self.instance(sopInstanceUID: instance.sopInstanceUID)
        return WatchStanding(
            isInTrash: isInTrash,
            isOther: row.map { $0.contentDigest != instance.contentDigest } ?? false
        )
    }
}
