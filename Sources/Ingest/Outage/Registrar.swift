// SPDX-License-Identifier: Apache-2.0

package import Catalog
package import Logging
import SegmentFormat

/// Tells the catalog of instances that are durable on their nodes, or notes them in the journal while it is away.
///
/// The last step of every store. Without the catalog, whether the SOP Instance UID is taken is asked of the nodes that
/// should hold it: that finds a conflict before it is acknowledged as long as those nodes answer. What it does not find
/// shows when the journal is entered, and is reported then.
package struct Registrar: Sendable {
    /// What became of an instance.
    package enum Outcome: Sendable, Hashable {
        case entered
        /// Durable here too, and entered later.
        case noted
        /// The same instance was there already; nothing new is kept.
        case duplicate
    }

    let catalog: any CatalogEntering
    let health: CatalogHealth
    let journal: CatalogJournal
    package let directory: RecordDirectory
    /// Members of the placement group that are asked for other records of an instance.
    let nearest: Int
    let logger: Logger

    package init(
        catalog: any CatalogEntering,
        health: CatalogHealth,
        journal: CatalogJournal,
        directory: RecordDirectory,
        nearest: Int,
        logger: Logger
    ) {
        self.catalog = catalog
        self.health = health
        self.journal = journal
        self.directory = directory
        self.nearest = nearest
        self.logger = logger
    }

    /// Returns when the catalog has committed the instance, or the journal has it on disk.
    ///
    /// - Throws: `.conflict` when other content has the SOP Instance UID, `.deleted` when the instance is in the trash,
    ///   `.unavailable` when neither can be had.
    package func enter(_ entry: InstanceEntry) async throws(StoreFailure) -> Outcome {
        if health.isAway { return try await note(entry) }
        let outcome: CommitOutcome
        do {
            outcome = try await catalog.commit(entry)
        } catch {
            guard error.isOutage else {
                throw StoreFailure(.unavailable, "the catalog did not commit the instance: \(error)")
            }
            if error.code != .overloaded { health.failed() }
            return try await note(entry)
        }
        switch outcome {
        case .committed: return .entered
        case .duplicate: return .duplicate
        case .conflict: throw Self.conflict
        case .deleted: throw .deleted
        }
    }

    private static let conflict = StoreFailure(
        .conflict,
        "an instance of this SOP Instance UID with other content is stored already"
    )

    private func note(_ entry: InstanceEntry) async throws(StoreFailure) -> Outcome {
        let uid = entry.instance.sopInstanceUID
        if await directory.isDeleted(study: entry.study.studyInstanceUID, instance: uid, nearest: nearest) {
            throw .deleted
        }
        let first: InstanceRecord?
        do throws(RetrieveFailure) {
            let study = entry.study.studyInstanceUID
            first = try await directory.instances(study: study, instance: uid, nearest: nearest).first
        } catch {
            first = nil
            logger.warning(
                "without the catalog: cannot tell whether the SOP Instance UID is taken",
                metadata: ["record": "\(entry.recordID)", "reason": "\(error)"]
            )
        }
        let isFirst = first == nil || first?.recordID == entry.recordID
        guard isFirst || first?.metadata.receivedDigest == entry.contentDigest else { throw Self.conflict }
        try await journal.append(
            JournalEntry(
                recordID: entry.recordID,
                nodes: entry.nodes,
                studyInstanceUID: entry.study.studyInstanceUID,
                sopInstanceUID: uid
            )
        )
        return isFirst ? .noted : .duplicate
    }
}
