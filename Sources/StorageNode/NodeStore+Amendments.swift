// SPDX-License-Identifier: Apache-2.0

package import Logging
import NIOConcurrencyHelpers
package import Placement
import SegmentFormat
package import SegmentStore

extension NodeStore {
    /// Stores an amendment on every disk that takes it; success when one has it durably and none knows better.
    ///
    /// A disk that cannot write is passed over: the others make up for it at reads, and it is given what it lacks at a
    /// later start.
    package func amend(
        _ amendment: NewAmendment,
        under authority: Term
    ) async throws(SegmentStoreError) -> AppendOutcome {
        guard disks.count > 1 || !missing.isEmpty else {
            return try await disks[0].store.amend(amendment, under: authority)
        }
        await amending.begin()
        defer { amending.end() }
        try await noteUnevenness()
        let subject = amendment.amendment.subject
        if isUneven, amendment.amendment.kind == .tombstone, try await presence(of: subject).standing.isHeld {
            throw SegmentStoreError(.held, "a hold forbids to delete the record", record: subject)
        }
        return try await onEveryDisk { (store) async throws(SegmentStoreError) in
            try await store.amend(amendment, under: authority)
        }
    }

    /// Notes, durably, before the first amendment, that one may be on some disks only, should the node be killed.
    private func noteUnevenness() async throws(SegmentStoreError) {
        guard let registry, registry.current.isEven else { return }
        do {
            try await registry.update { $0.isEven = false }
        } catch {
            throw SegmentStoreError(.full, "the node's home directory cannot be written: \(error)")
        }
    }

    package func observe(_ term: Term) async throws(SegmentStoreError) {
        _ = try await onEveryDisk { (store) async throws(SegmentStoreError) -> AppendOutcome in
            try await store.observe(term)
            return .alreadyStored
        }
    }

    private func onEveryDisk(
        _ body: (SegmentStore) async throws(SegmentStoreError) -> AppendOutcome
    ) async throws(SegmentStoreError) -> AppendOutcome {
        guard disks.count > 1 else { return try await body(disks[0].store) }
        var outcomes: [AppendOutcome] = []
        var refusal: SegmentStoreError?
        var inability: SegmentStoreError?
        for disk in disks {
            do throws(SegmentStoreError) {
                outcomes.append(try await body(disk.store))
            } catch {
                switch error.code {
                case .full, .writeFailed, .readFailed: inability = inability ?? error
                default: refusal = refusal ?? error
                }
            }
        }
        // The mark on disk says so already.
        if !outcomes.isEmpty, refusal != nil || inability != nil { state.withLockedValue { $0.isUneven = true } }
        if let failure = refusal ?? (outcomes.isEmpty ? inability : nil) { throw failure }
        return outcomes.contains(.stored) ? .stored : .alreadyStored
    }

    /// What was said about a record, as all disks together know it.
    package func amendments(of id: RecordID) async throws(SegmentStoreError) -> [StoredAmendment] {
        var found: [Amendment.Order: StoredAmendment] = [:]
        var failure: SegmentStoreError?
        var isAnswered = false
        for disk in disks {
            do throws(SegmentStoreError) {
                for amendment in try await disk.store.amendments(of: id) {
                    found[amendment.amendment.order] = found[amendment.amendment.order] ?? amendment
                }
                isAnswered = true
            } catch {
                failure = error
            }
        }
        // Where all disks have all, one answer is enough.
        if let failure, !isAnswered || isUneven { throw failure }
        return found.values.sorted { $0.amendment.order < $1.amendment.order }
    }

    /// What was said about a record as far as any disk can read it, and whether that is all.
    func readableAmendments(
        of id: RecordID
    ) async throws(SegmentStoreError) -> (amendments: [StoredAmendment], isComplete: Bool) {
        var found: [Amendment.Order: StoredAmendment] = [:]
        var failure: SegmentStoreError?
        var completeCount = 0
        for disk in disks {
            do throws(SegmentStoreError) {
                let (amendments, isComplete) = try await disk.store.readableAmendments(of: id)
                for amendment in amendments {
                    found[amendment.amendment.order] = found[amendment.amendment.order] ?? amendment
                }
                completeCount += isComplete ? 1 : 0
            } catch {
                failure = error
            }
        }
        if let failure, completeCount == 0 { throw failure }
        // Where all disks have all, one answer is enough.
        let isComplete = completeCount == disks.count || (completeCount > 0 && !isUneven)
        return (found.values.sorted { $0.amendment.order < $1.amendment.order }, isComplete)
    }

    /// Ids copied at once.
    private static let pageCount = 1024

    /// Gives every disk what another knows to be said about records; for a start after one was missing or was killed.
    package func evenOut(logger: Logger) async throws(SegmentStoreError) {
        guard isUneven, disks.count > 1 else { return }
        let term = disks.map(\.store.status.highestTerm).max() ?? Term(rawValue: 0)
        var copiedCount = 0
        var isEven = true
        for group in PlacementGroup.all {
            var after: RecordID?
            repeat {
                let ids = try await listAmended(group: group, after: after, limit: Self.pageCount)
                for id in ids {
                    do throws(SegmentStoreError) {
                        copiedCount += try await evenOut(id, term)
                    } catch {
                        isEven = false
                        logger.warning(
                            "what was said about a record could not be copied between disks",
                            metadata: ["record": "\(id)", "reason": "\(error)"]
                        )
                    }
                }
                after = ids.count == Self.pageCount ? ids.last : nil
            } while after != nil
        }
        if isEven { state.withLockedValue { $0.isUneven = false } }
        if copiedCount > 0 {
            logger.info("tombstones and holds were copied between disks", metadata: ["count": "\(copiedCount)"])
        }
    }

    /// Returns how many amendments were copied.
    private func evenOut(_ id: RecordID, _ term: Term) async throws(SegmentStoreError) -> Int {
        let all = try await amendments(of: id)
        var count = 0
        for disk in disks {
            let known = Set(try await disk.store.amendments(of: id).map(\.amendment.order))
            for missing in all where !known.contains(missing.amendment.order) {
                try await copy(missing, to: disk, term)
                count += 1
            }
        }
        return count
    }

    private func copy(
        _ stored: StoredAmendment,
        to disk: Disk,
        _ term: Term
    ) async throws(SegmentStoreError) {
        let new = NewAmendment(
            amendment: stored.amendment,
            payload: stored.payload,
            mapEpoch: stored.mapEpoch,
            writtenAtMilliseconds: stored.writtenAtMilliseconds
        )
        _ = try await disk.store.amend(new, under: max(term, stored.amendment.order.term))
    }
}
