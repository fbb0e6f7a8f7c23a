// SPDX-License-Identifier: Apache-2.0

import Catalog
import Logging
import ServiceLifecycle
import Telemetry

/// Reads rejection notes that were stored, and has what they name moved to the trash.
///
/// What it knows is in the catalog, and each note is filed and acted on in one transaction each: any ingest node goes on
/// where another stopped, and two at once do it once. ``run()`` is one task.
struct RejectionWorker: Sendable {
    /// How long a note is this process's: longer than it takes to read one, and how long nothing happens when it dies.
    private static let claim = Duration.seconds(10)
    /// Between two looks for notes that have come.
    private static let interval = Duration.milliseconds(500)
    /// Between two looks at one that waits for a hold to be released.
    private static let heldDelay = Duration.seconds(15)
    /// Between two attempts to read one of which no copy can be read.
    private static let unreadDelay = Duration.seconds(5)
    private static let limit = 16

    let catalog: Catalog
    let headers: HeaderReader
    let policy: RejectionPolicy
    let logger: Logger

    init(catalog: Catalog, records: any RecordReader, policy: RejectionPolicy, logger: Logger) {
        self.catalog = catalog
        self.headers = HeaderReader(records: records)
        self.policy = policy
        self.logger = logger
    }

    /// Works until graceful shutdown or cancellation.
    func run() async {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                let isMore = await workOnSome()
                // Cancellation ends the wait, and with it the loop.
                if !isMore { try? await Task.sleep(for: Self.interval) }
            }
        }
    }

    /// Whether there may be more to do at once.
    private func workOnSome() async -> Bool {
        do throws(CatalogError) {
            let notes = try await catalog.claimRejectionNotes(for: Self.claim, limit: Self.limit)
            for note in notes where !Task.isCancelled { await attempt(note) }
            return notes.count == Self.limit
        } catch {
            // The catalog's absence is told by those who need it more often.
            logger.debug("rejection notes cannot be looked for now", metadata: ["reason": "\(error)"])
            return false
        }
    }

    /// One that fails is due again after the claim, and keeps no other from being worked on.
    private func attempt(_ note: RejectionNote) async {
        do throws(CatalogError) {
            try await work(on: note)
        } catch {
            logger.notice(
                "a rejection note is worked on later",
                metadata: ["note": "\(note.id)", "reason": "\(error)"]
            )
        }
    }

    private func work(on note: RejectionNote) async throws(CatalogError) {
        if note.state == .unread {
            guard try await read(note) else { return }
        }
        try await act(on: note)
    }

    /// Reads and files a note; whether it is to be acted on now.
    private func read(_ note: RejectionNote) async throws(CatalogError) -> Bool {
        // Deleted since it was claimed.
        guard let row = try await catalog.instance(record: note.record) else { return false }
        let document: KeyObjectSelection
        do {
            document = try KeyObjectSelection.read(try await headers.dataSet(of: StoredInstance(row)))
        } catch let fault as KeyObjectSelection.Fault {
            try await giveUp(note, fault.reason)
            return false
        } catch let failure as RetrieveFailure {
            guard failure.kind == .unavailable || failure.kind == .overloaded || failure.kind == .damaged else {
                try await giveUp(note, failure.reason)
                return false
            }
            try await catalog.putOffRejectionNote(note.id, for: Self.unreadDelay, obstacle: failure.reason)
            return false
        } catch {
            try await catalog.putOffRejectionNote(note.id, for: Self.unreadDelay, obstacle: "it cannot be read now")
            return false
        }
        guard let title = document.rejection else {
            try await catalog.forgetRejectionNote(note.id)
            return false
        }
        let refusal = policy.refusal(note, title: title)
        let rejection = Rejection(
            title: title.rawValue,
            reason: "\(title.meaning) (\(title.rawValue), \(RejectionTitle.scheme)): rejection note \(note.instance)",
            awaitsInstances: title.awaitsInstances,
            references: document.references.map { ($0.study, $0.series, $0.instance) }
        )
        let isFiled = try await catalog.file(
            rejection,
            ofNote: note.id,
            isApproved: refusal == nil,
            obstacle: refusal ?? ""
        )
        if isFiled, let refusal {
            logger.notice(
                "a rejection note waits for an approval",
                metadata: ["note": "\(note.id)", "sender": "\(note.sender)", "reason": "\(refusal)"]
            )
        }
        return isFiled && refusal == nil
    }

    private func giveUp(_ note: RejectionNote, _ reason: String) async throws(CatalogError) {
        try await catalog.putOffRejectionNote(note.id, for: nil, obstacle: reason)
        logger.warning(
            "a Key Object Selection document cannot be understood: if it rejects, nothing follows from it",
            metadata: ["note": "\(note.id)", "sender": "\(note.sender)", "reason": "\(reason)"]
        )
    }

    private func act(on note: RejectionNote) async throws(CatalogError) {
        switch try await catalog.actOnRejectionNote(note.id, issuedAtMilliseconds: Timestamp.now().milliseconds) {
        case .retired(let count):
            logger.notice(
                "acted on a rejection note",
                metadata: ["note": "\(note.id)", "sender": "\(note.sender)", "instances": "\(count)"]
            )
        case .held(let hold):
            let obstacle = "held: legal hold \(hold) forbids it; it is acted on when that is released"
            try await catalog.putOffRejectionNote(note.id, for: Self.heldDelay, obstacle: obstacle)
            if note.obstacle != obstacle {
                logger.warning(
                    "a legal hold keeps a rejection note from being acted on",
                    metadata: ["note": "\(note.id)", "hold": "\(hold)"]
                )
            }
        case .notWanted: break
        }
    }
}
