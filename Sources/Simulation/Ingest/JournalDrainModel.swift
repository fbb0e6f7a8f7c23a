// SPDX-License-Identifier: Apache-2.0

import Placement

/// Enters what the journal holds, as `JournalDrain` of Ingest does: one round of it, one entry after the other.
final class JournalDrainModel {
    private let ingest: IngestProcess
    private var limit: Int
    private var file: JournalModel.File?
    private var entries: ArraySlice<JournalModel.Entry> = []
    private var postponed: [JournalModel.Entry] = []
    private var finished: () -> Void = {}

    init(_ ingest: IngestProcess) {
        self.ingest = ingest
        self.limit = ingest.journalCount
    }

    func run(_ finished: @escaping () -> Void) {
        self.finished = finished
        nextFile()
    }

    private func nextFile() {
        guard limit > 0, let next = ingest.withJournal({ $0.oldest() }) ?? nil,
            let read = ingest.withJournal({ try $0.entries(of: next) })
        else { return finished() }
        file = next
        entries = read[...]
        postponed = []
        limit -= max(1, read.count)
        ingest.world.note("\(ingest.name): draining file \(next.number) of \(next.entryCount), \(limit) to come")
        if ingest.world.has(.dropJournalEarly) { _ = ingest.withJournal { try $0.remove(next) } }
        nextEntry()
    }

    private func nextEntry() {
        guard let entry = entries.popFirst() else { return endFile() }
        ingest.describe(entry) { [self] instance in
            guard let instance else {
                ingest.world.note("\(ingest.name): record of \(entry.instance) is unreadable now")
                postponed.append(entry)
                return nextEntry()
            }
            ingest.commit(instance) { [self] result in
                switch result {
                case .success(.committed), .success(.duplicate): nextEntry()
                case .success(.conflict):
                    ingest.refused(entry.recordID)
                    nextEntry()
                case .failure:
                    ingest.catalogFailed()
                    finished()
                }
            }
        }
    }

    /// Behind what came later: a record that cannot be read must not hold up the others.
    private func endFile() {
        guard let file else { return finished() }
        let postponed = postponed
        let isDone: Void? = ingest.withJournal { journal in
            for entry in postponed { try journal.append([entry]) }
            try journal.remove(file)
        }
        guard isDone != nil else { return finished() }
        ingest.after(500) { self.nextFile() }
    }
}
