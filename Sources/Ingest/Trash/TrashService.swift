// SPDX-License-Identifier: Apache-2.0

import Catalog
package import DICOMWeb
import Logging
import Telemetry

/// Deletes what clients of DICOMweb want deleted, or a stand-in in tests.
package protocol InstanceDeleter: Sendable {
    /// Moves a study, series or instance to the trash; says how many instances that were, 0 when there is none.
    ///
    /// `client` is for the audit. Throws `.unavailable` when it cannot be done now.
    func delete(_ item: DICOMWebItem, client: String) async throws(RetrieveFailure) -> Int
}

/// Moves to the trash and takes back, for DICOMweb and the administration API.
///
/// Only the catalog is changed here; the storage nodes are told by the coordinator.
struct TrashService: InstanceDeleter {
    let catalog: Catalog
    let journal: CatalogJournal
    let logger: Logger

    func delete(_ item: DICOMWebItem, client: String) async throws(RetrieveFailure) -> Int {
        try await delete(item, reason: "", requestedBy: "DICOMweb DELETE from \(client)")
    }

    func delete(_ item: DICOMWebItem, reason: String, requestedBy: String) async throws(RetrieveFailure) -> Int {
        // Else what comes from the journal a moment later would be left.
        guard !journal.owes(study: item.study) else {
            throw RetrieveFailure(
                .unavailable,
                "instances of the study were stored while the catalog was away and are being entered; delete it after that"
            )
        }
        let subject =
            if let series = item.series {
                DeletionSubject(study: item.study, series: series, instance: item.instance ?? "")
            } else {
                DeletionSubject(study: item.study)
            }
        let count: Int
        do throws(CatalogError) {
            count = try await catalog.moveToTrash(subject, Self.request(reason: reason, requestedBy: requestedBy))
        } catch {
            if error.code == .held { throw RetrieveFailure(.held, error.message) }
            throw RetrieveFailure(.unavailable, "nothing is known to be deleted: \(error)")
        }
        if count > 0 {
            logger.notice(
                "moved to the trash",
                metadata: ["level": "\(subject.level)", "instances": "\(count)", "by": "\(requestedBy)"]
            )
        }
        return count
    }

    /// Has what was deleted of a study given back, or what one deletion took; says how many deletions that are.
    func undelete(
        study: String,
        deletion: Int64?,
        reason: String,
        requestedBy: String
    ) async throws(CatalogError) -> Int {
        let request = Self.request(reason: reason, requestedBy: requestedBy)
        let count = try await catalog.takeFromTrash(study: study, deletion: deletion, request)
        if count > 0 {
            logger.notice("wanted back from the trash", metadata: ["deletions": "\(count)", "by": "\(requestedBy)"])
        }
        return count
    }

    private static func request(reason: String, requestedBy: String) -> DeletionRequest {
        var generator = SystemRandomNumberGenerator()
        return DeletionRequest(
            requestedBy: requestedBy,
            reason: reason,
            issuedAtMilliseconds: Timestamp.now().milliseconds,
            reference: (generator.next(), generator.next())
        )
    }
}
