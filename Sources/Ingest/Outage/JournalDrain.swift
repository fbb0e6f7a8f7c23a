// SPDX-License-Identifier: Apache-2.0

import Catalog
package import Logging
import NIOConcurrencyHelpers
import ServiceLifecycle
import Telemetry

/// Enters what the journal holds, when the catalog answers again: exactly once, however often it is interrupted.
///
/// One task runs it. What to enter is read from the records themselves. An entry is settled when the catalog has it, has
/// had it, or says that it never will: then it is an error in the log and a number in the metrics, and the record stays
/// on its nodes, where ``CatalogComparison`` lists it.
package final class JournalDrain: Sendable {
    /// Entries in work at once.
    private static let window = 32

    private let journal: CatalogJournal
    private let catalog: any CatalogEntering
    private let health: CatalogHealth
    private let directory: RecordDirectory
    private let logger: Logger
    /// Instances that were acknowledged during an outage and that the catalog does not take.
    private let refused = NIOLockedValueBox(0)

    package init(
        journal: CatalogJournal,
        catalog: any CatalogEntering,
        health: CatalogHealth,
        directory: RecordDirectory,
        logger: Logger
    ) {
        self.journal = journal
        self.catalog = catalog
        self.health = health
        self.directory = directory
        self.logger = logger
    }

    /// How many entries the catalog refused since the start.
    package var refusedCount: Int { refused.withLockedValue { $0 } }

    /// Works until graceful shutdown or cancellation.
    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                if !self.health.isAway, self.journal.count > 0 {
                    do {
                        try await self.drain()
                    } catch {
                        self.logger.warning("the journal cannot be entered; going on later", error: error)
                    }
                }
                // Cancellation ends the wait, and with it the loop.
                try? await Task.sleep(for: .seconds(1))
            }
        }
    }

    private enum Settlement: Sendable {
        case settled
        /// The catalog refuses it, and will again.
        case refused(String)
        /// Its record cannot be read now.
        case unreadable
        /// The catalog is away again.
        case catalogAway
    }

    /// Enters everything that is in the journal now; returns early when the catalog goes away or a record can't be read.
    package func drain() async throws(StoreFailure) {
        var unreadable = 0
        var limit = journal.count
        while limit > 0, let file = journal.oldest() {
            let entries = try await journal.entries(of: file)
            limit -= max(1, entries.count)
            var postponed: [JournalEntry] = []
            for start in stride(from: 0, to: entries.count, by: Self.window) {
                let window = entries[start..<min(start + Self.window, entries.count)]
                for (entry, settlement) in await settle(window) {
                    switch settlement {
                    case .settled: break
                    case .refused(let reason): report(entry, reason)
                    case .unreadable: postponed.append(entry)
                    case .catalogAway:
                        health.failed()
                        return
                    }
                }
            }
            // Behind what came later: a record that cannot be read must not hold up the others.
            for entry in postponed { try await journal.append(entry) }
            unreadable += postponed.count
            try await journal.remove(file)
            logger.notice(
                "entered instances from the journal",
                metadata: ["count": "\(entries.count - postponed.count)", "left": "\(journal.count)"]
            )
        }
        if unreadable > 0 {
            logger.warning(
                "instances wait in the journal for a node that holds their records",
                metadata: ["count": "\(unreadable)"]
            )
        }
    }

    private func settle(_ entries: ArraySlice<JournalEntry>) async -> [(JournalEntry, Settlement)] {
        await withTaskGroup(of: (JournalEntry, Settlement).self) { tasks in
            for entry in entries { tasks.addTask { (entry, await self.settle(entry)) } }
            var results: [(JournalEntry, Settlement)] = []
            for await result in tasks { results.append(result) }
            return results
        }
    }

    private func settle(_ entry: JournalEntry) async -> Settlement {
        let instance: InstanceEntry
        do {
            let record = try await directory.describe(entry.recordID, nodes: entry.nodes)
            instance = try await directory.entry(of: record)
        } catch {
            if let settlement = await settleKnown(entry) { return settlement }
            logger.info(
                "a record in the journal cannot be read now",
                metadata: ["record": "\(entry.recordID)", "reason": "\(error)"]
            )
            return .unreadable
        }
        do {
            switch try await catalog.commit(instance) {
            case .committed, .duplicate: return .settled
            case .deleted:
                if let settlement = await settleDeleted(entry) { return settlement }
                return .refused("the instance was deleted, and is in the trash as another record")
            case .conflict(let existing):
                return .refused(
                    existing.contentDigest == instance.contentDigest
                        ? "its SOP Instance UID is stored in another series or study"
                        : "other content has its SOP Instance UID"
                )
            }
        } catch {
            switch error.code {
            // Of this entry's making, and the same tomorrow. Anything else, a wrong password or a shutdown too, is the
            // catalog's: what it is owed stays in the journal.
            case .invalid,
                .failed where !error.isOutage:
                return .refused("\(error)")
            default: return .catalogAway
            }
        }
    }

    /// What becomes of an entry whose record no node gives; nil when the catalog does not know it either.
    ///
    /// What somebody else has entered meanwhile the catalog is owed no more: all its copies may be in cold packs by now.
    private func settleKnown(_ entry: JournalEntry) async -> Settlement? {
        do throws(CatalogError) {
            if try await catalog.isEntered(record: entry.recordID) { return .settled }
        } catch {
            return .catalogAway
        }
        return await settleDeleted(entry)
    }

    /// What becomes of an entry whose record is in the trash; nil when it is not.
    ///
    /// It was in the catalog before, so that is owed nothing: its store had not heard that it was committed, or came again
    /// before the nodes knew of the deletion. An undelete gives it back.
    private func settleDeleted(_ entry: JournalEntry) async -> Settlement? {
        do throws(CatalogError) {
            guard try await catalog.isInTrash(record: entry.recordID) else { return nil }
        } catch {
            return .catalogAway
        }
        logger.notice(
            "an instance in the journal was deleted meanwhile; it is in the trash",
            metadata: ["record": "\(entry.recordID)"]
        )
        return .settled
    }

    private func report(_ entry: JournalEntry, _ reason: String) {
        refused.withLockedValue { $0 += 1 }
        logger.error(
            "an instance stored without the catalog is not taken by it; its record stays on the nodes",
            metadata: ["record": "\(entry.recordID)", "reason": "\(reason)"]
        )
        logger.debug(
            "it is this instance",
            metadata: ["record": "\(entry.recordID)", "instance": "\(entry.sopInstanceUID)"]
        )
    }
}
