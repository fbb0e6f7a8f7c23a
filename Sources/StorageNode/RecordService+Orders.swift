// SPDX-License-Identifier: Apache-2.0

import NIOPosix
import Placement
package import ReplicationProtocol
import ReplicationTransport
import SegmentFormat
import SegmentStore

/// Orders and comparisons.
extension RecordService {
    /// The most bytes of a record that is read to see whether it need not be fetched.
    private static let checkedByteCount: UInt64 = 64 << 20
    /// Ids asked of the index at once.
    private static let digestPageCount = 1024

    /// Reads the header of every record in the prefix: milliseconds for each thousand.
    package func digest(_ request: DigestRequest) async throws(ReplicationError) -> [DigestPart] {
        var accumulator = DigestAccumulator(request)
        var after = request.prefix.predecessorInGroup
        while true {
            let ids = try await list(group: request.prefix.group, after: after, limit: Self.digestPageCount)
            for id in ids {
                guard request.part(of: id) != nil else { return accumulator.finish() }
                guard !Task.isCancelled else { throw ReplicationError(.cancelled, "the digest was withdrawn") }
                try await add(id, to: &accumulator)
            }
            guard let last = ids.last, ids.count == Self.digestPageCount else { return accumulator.finish() }
            after = last
        }
    }

    /// A damaged record counts as one without a digest; any other failure ends the whole.
    private func add(_ id: RecordID, to accumulator: inout DigestAccumulator) async throws(ReplicationError) {
        do throws(SegmentStoreError) {
            guard let info = try await store.head(id) else { return }
            accumulator.add(id, payloadDigest: info.payloadDigest)
        } catch {
            // Deleted since it was listed.
            if error.code == .deleted { return }
            guard error.code == .checksumMismatch || error.code == .readFailed else { throw ReplicationError(error) }
            accumulator.add(id, payloadDigest: nil)
        }
    }

    /// The store looks at terms and holds again, by what is on its disk.
    package func amend(_ request: AmendRequest) async throws(ReplicationError) -> PutOutcome {
        let new = NewAmendment(
            amendment: SegmentFormat.Amendment(request.amendment),
            payload: request.amendment.payload,
            mapEpoch: request.stamp.mapEpoch,
            writtenAtMilliseconds: Self.now()
        )
        do throws(SegmentStoreError) {
            return PutOutcome(try await store.amend(new, under: request.stamp.term))
        } catch {
            throw ReplicationError(error)
        }
    }

    /// Reads record after record until the page is full.
    package func amendments(_ request: AmendmentsRequest) async throws(ReplicationError) -> AmendmentPage {
        var found: [RecordAmendment] = []
        var isComplete = true
        func page(hasMore: Bool) -> AmendmentPage {
            AmendmentPage(fitting: found, hasMore: hasMore, isComplete: isComplete)
        }
        var after = request.first.predecessorInGroup
        while true {
            let ids = try await amended(request.first.group, after: after)
            for id in ids {
                guard id <= request.last else { return page(hasMore: false) }
                let (all, isAll) = try await amendments(of: id)
                isComplete = isComplete && isAll
                let wanted = id == request.first ? all.filter { $0.order >= request.firstOrder } : all
                found += wanted.prefix(request.limit - found.count)
                // What does not fit into the message is left out of it, and said to be more.
                let page = page(hasMore: wanted.last.map { $0 != found.last } ?? false)
                if page.hasMore { return page }
                guard found.count < request.limit else {
                    return AmendmentPage(fitting: found, hasMore: id < request.last, isComplete: isComplete)
                }
            }
            guard let last = ids.last else { return page(hasMore: false) }
            after = last
        }
    }

    private func amended(_ group: PlacementGroup, after: RecordID?) async throws(ReplicationError) -> [RecordID] {
        do throws(SegmentStoreError) {
            return try await store.listAmended(group: group, after: after, limit: Self.digestPageCount)
        } catch {
            throw ReplicationError(error)
        }
    }

    private func amendments(
        of id: RecordID
    ) async throws(ReplicationError) -> (amendments: [RecordAmendment], isComplete: Bool) {
        do throws(SegmentStoreError) {
            let (stored, isComplete) = try await store.readableAmendments(of: id)
            return (stored.map(RecordAmendment.init).sorted { $0.order < $1.order }, isComplete)
        } catch {
            throw ReplicationError(error)
        }
    }

    /// One segment after another, the one retired first first; a disk that fails does not keep the others'.
    package func purge(_ request: PurgeRequest) async throws(ReplicationError) -> PurgeResult {
        let retired = store.status.trash.filter { segment in
            segment.segment.retiredAtMilliseconds < Int64(clamping: request.retiredBeforeMilliseconds)
        }.sorted { $0.segment.retiredAtMilliseconds < $1.segment.retiredAtMilliseconds }
        let permit = SegmentFormat.Amendment.Reference(high: request.permit.high, low: request.permit.low)
        var purgedCount: UInt64 = 0
        var failure: SegmentStoreError?
        for segment in retired where purgedCount < request.maximumSegmentCount {
            guard !Task.isCancelled else { break }
            do throws(SegmentStoreError) {
                try await store.purge(segment, permit: permit, under: request.stamp.term)
                purgedCount += 1
            } catch {
                // Its time in the trash is not over, or another permit was quicker.
                if error.code != .held && error.code != .notFound { failure = failure ?? error }
            }
        }
        if let failure { throw ReplicationError(failure) }
        return PurgeResult(
            purgedSegmentCount: purgedCount,
            remainingSegmentCount: UInt64(retired.count) - purgedCount
        )
    }

    package func pull(
        _ request: PullRequest,
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws(ReplicationError) -> PutOutcome {
        if await hasWhole(request.recordID) { return .alreadyStored }
        return try await fetcher.pull(request, into: self, progress: progress)
    }

    /// Whether the record is here and whole, from a copy that was made and not counted, or from before.
    ///
    /// One that is damaged, or not known for sure, is fetched, which says what is wrong. So is a large one: who asked hears how
    /// far that is, and would give up while it is read here.
    func hasWhole(_ id: RecordID) async -> Bool {
        if let places = store.placesInMemory([id]), places.allSatisfy({ $0 == nil }) { return false }
        do throws(SegmentStoreError) {
            guard let info = try await store.head(id), info.payloadByteCount <= Self.checkedByteCount else {
                return false
            }
            try await store.verify(id)
            return true
        } catch {
            return false
        }
    }

    package func fencePosition() async throws(ReplicationError) -> FencePosition {
        let file = fence
        var position = try await blocking { () throws(StorageNodeError) in try file.load() }
        position.term = max(position.term, store.status.highestTerm)
        return position
    }

    package func persist(_ position: FencePosition) async throws(ReplicationError) {
        let file = fence
        try await blocking { () throws(StorageNodeError) in try file.store(position) }
        do throws(SegmentStoreError) {
            try await store.observe(position.term)
        } catch {
            throw ReplicationError(error)
        }
    }

    /// Runs what blocks on a thread made for it.
    private func blocking<Value: Sendable>(
        _ body: @escaping @Sendable () throws(StorageNodeError) -> Value
    ) async throws(ReplicationError) -> Value {
        do {
            return try await NIOThreadPool.singleton.runIfActive { try body() }
        } catch {
            throw ReplicationError(.diskFailed, "\(error)")
        }
    }
}

extension SegmentFormat.Amendment {
    /// What the protocol says, in the words of the store.
    fileprivate init(_ amendment: RecordAmendment) {
        self.init(
            subject: amendment.recordID,
            kind: Kind(rawValue: amendment.kind.rawValue),
            order: Order(term: amendment.order.term, sequence: amendment.order.sequence),
            reference: Reference(high: amendment.reference.high, low: amendment.reference.low),
            issuedAtMilliseconds: amendment.issuedAtMilliseconds,
            keptDays: amendment.keptDays
        )
    }
}

extension RecordAmendment {
    /// What the store says, in the words of the protocol.
    fileprivate init(_ stored: StoredAmendment) {
        let amendment = stored.amendment
        self.init(
            recordID: amendment.subject,
            kind: Kind(rawValue: amendment.kind.rawValue),
            order: Order(term: amendment.order.term, sequence: amendment.order.sequence),
            reference: ReferenceID(high: amendment.reference.high, low: amendment.reference.low),
            issuedAtMilliseconds: amendment.issuedAtMilliseconds,
            keptDays: amendment.keptDays,
            payload: stored.payload
        )
    }
}

extension RecordID {
    /// The id before this one; `nil` for a group's first.
    fileprivate var predecessorInGroup: RecordID? {
        guard low == 0 else { return RecordID(high: high, low: low - 1) }
        let previous = RecordID(high: high &- 1, low: .max)
        return previous?.group == group && high > 0 ? previous : nil
    }
}
