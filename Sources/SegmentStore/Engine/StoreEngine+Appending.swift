// SPDX-License-Identifier: Apache-2.0

import Checksums
import Logging
import NIOCore
import Placement
import SegmentFormat

extension StoreEngine {
    /// Takes puts, each with a key of its own, through all that becomes of them.
    mutating func put(_ puts: [Put], answer: (Put, PutResult) -> Void) {
        for round in Self.rounds(of: puts) {
            guard let (fresh, known) = sort(round, answer: answer) else { continue }
            var wanted = fresh
            for (put, stored) in known {
                switch view.compare(put.digest, with: stored) {
                case .same: answer(put, .durable(wasThere: true))
                case .other(let stored): answer(put, .conflict(stored: stored))
                case .damaged:
                    var put = put
                    put.replaced = stored.locator
                    wanted.append(put)
                }
            }
            store(wanted, answer: answer)
        }
    }

    /// Splits puts so that none has to be judged by what another one of its round does to the same record.
    static func rounds(of puts: [Put]) -> [[Put]] {
        guard puts.contains(where: { $0.amendment != nil }) else { return [puts] }
        var rounds: [[Put]] = []
        var counts: [RecordID: Int] = [:]
        for put in puts {
            let round = counts[put.id, default: 0]
            counts[put.id] = round + 1
            if round == rounds.count { rounds.append([]) }
            rounds[round].append(put)
        }
        return rounds
    }

    /// The puts that are not stored yet, and those that must be compared with what is stored first; answers the others.
    ///
    /// `nil` when all have been answered by a failure.
    mutating func sort(
        _ puts: [Put],
        answer: (Put, PutResult) -> Void
    ) -> (fresh: [Put], known: [(Put, IndexedRecord)])? {
        var fresh: [Put] = []
        var known: [(Put, IndexedRecord)] = []
        fresh.reserveCapacity(puts.count)
        do {
            if let term = puts.map(\.authority).max() { try observe(term) }
            let lookups = try index.lookUp(puts.map(\.id))
            for (put, lookup) in zip(puts, lookups) {
                var stored = lookup.locator.map { IndexedRecord(id: put.id, locator: $0) }
                if let amendment = put.amendment {
                    let all = try index.amendments(of: put.id)
                    stored = all.first { $0.amendment?.order == amendment.order }
                    let others = stored == nil ? all.count : 0
                    if let refusal = refusal(of: put, amendment, lookup.standing, stored: stored, others: others) {
                        answer(put, .failed(refusal))
                        continue
                    }
                } else if lookup.standing.isDeleted {
                    answer(put, .failed(StoreView.deletedError(put.id)))
                    continue
                }
                if let stored, stored.locator != put.replaced {
                    known.append((put, stored))
                } else {
                    fresh.append(put)
                }
            }
        } catch {
            let failure = (error as? SegmentStoreError) ?? fail("\(error)")
            for put in puts { answer(put, .failed(failure)) }
            return nil
        }
        return (fresh, known)
    }

    /// Why an amendment is not taken; `nil` when it is.
    private func refusal(
        of put: Put,
        _ amendment: Amendment,
        _ standing: RecordStanding,
        stored: IndexedRecord?,
        others: Int
    ) -> SegmentStoreError? {
        let highest = manifest.state.highestTerm
        if amendment.kind.isFenced, put.authority < highest {
            return SegmentStoreError(
                .staleTerm,
                "term \(put.authority.rawValue) is over, a coordinator of term \(highest.rawValue) has been heard of",
                record: put.id
            )
        }
        // The days of a deletion are in its record and not in the index.
        var named = amendment
        named.keptDays = 0
        var known = stored?.amendment
        known?.keptDays = 0
        if let known, known != named {
            return SegmentStoreError(.conflict, "another amendment has this term and sequence", record: put.id)
        }
        if stored == nil, amendment.kind == .tombstone, standing.isHeld {
            return SegmentStoreError(.held, "a hold forbids to delete the record", record: put.id)
        }
        // What rules is taken beyond the limit of what only tells, which may not keep a record from being held.
        let limit = configuration.maximumAmendmentCount
        if others >= (amendment.kind.rules ? 2 * limit : limit) {
            return SegmentStoreError(.tooLarge, "a record has at most \(limit) amendments", record: put.id)
        }
        return nil
    }

    /// Stores puts that `sort` has found fresh, and answers each as soon as it is durable.
    mutating func store(_ puts: [Put], answer: (Put, PutResult) -> Void) {
        // A large record's thread may have failed the store.
        if failure == nil { failure = facts.current.writeFailure }
        var images: [Put] = []
        // Asked once a batch: it is a system call.
        let space = view.space
        for put in puts {
            if let failure {
                answer(put, .failed(failure))
                continue
            }
            switch put.content {
            case .large(let large): answer(put, publish(put, large))
            case .image:
                if space.accepts(isAmendment: put.isSmall) {
                    images.append(put)
                } else {
                    answer(put, .failed(space.error(put.id, configuration)))
                }
            }
        }
        var rest = images[...]
        while !rest.isEmpty {
            let count = writeSome(of: rest, answer: answer)
            rest = rest.dropFirst(count)
        }
    }

    /// Writes as many of `puts` as the active segment takes, in one batch, and answers them; returns how many.
    private mutating func writeSome(of puts: ArraySlice<Put>, answer: (Put, PutResult) -> Void) -> Int {
        var count = active?.fittingCount(puts, segmentByteCount: configuration.segmentByteCount) ?? 0
        if count == 0 {
            do {
                if failure == nil, active != nil { try seal() }
                if failure == nil { try create() }
            } catch {
                for put in puts { answer(put, .failed(error)) }
                return puts.count
            }
            count = active?.fittingCount(puts, segmentByteCount: configuration.segmentByteCount) ?? 0
        }
        guard failure == nil, count > 0 else {
            let failure = failure ?? fail("a new segment takes no record")
            for put in puts { answer(put, .failed(failure)) }
            return puts.count
        }
        let batch = puts.prefix(count)
        do {
            try write(batch)
            for put in batch { answer(put, .durable(wasThere: false)) }
        } catch {
            for put in batch { answer(put, .failed(error)) }
        }
        return count
    }

    private mutating func write(_ batch: ArraySlice<Put>) throws(SegmentStoreError) {
        guard var segment = active else { throw fail("there is no active segment") }
        let image: BatchImage
        do {
            image = try BatchImage(
                batch,
                cluster: configuration.clusterID,
                segment: segment.id,
                offset: segment.position,
                writtenAtMilliseconds: view.clock.wallMilliseconds()
            )
        } catch {
            throw SegmentStoreError(.invalid, error.message)
        }
        try reserve(upTo: image.end, in: &segment)
        active = segment
        let start = view.clock.monotonicNanoseconds()
        do {
            try segment.file.write(image.buffers, at: segment.position)
        } catch {
            if error.isFull {
                // What was written of the batch stays where it is, behind the end of the segment.
                retire(segment)
                throw Self.fullError(nil)
            }
            throw fail("a batch could not be written: \(error)", segment: segment)
        }
        do {
            try segment.file.sync()
        } catch {
            throw fail("a batch could not be synced: \(error)", segment: segment)
        }
        lastBatchNanoseconds = view.clock.monotonicNanoseconds() - start
        let entries = zip(image.entries, batch).map { entry, put in
            IndexedRecord(
                id: entry.id,
                locator: RecordLocator(entry, in: segment.id),
                amendment: put.amendment,
                dropped: put.dropped
            )
        }
        let change: Int
        do {
            change = try index.insert(entries, segment: segment.id, indexedUpTo: image.end)
        } catch {
            throw fail("\(error)", segment: segment)
        }
        let writtenByteCount = image.end - segment.position
        segment.appended(image.entries, end: image.end)
        active = segment
        segments.set(segment.id, .active, end: segment.position)
        facts.update { facts in
            facts.recordCount += change
            facts.writtenRecordCount += UInt64(entries.count)
            facts.usedBytes += writtenByteCount
            facts.batchCount += 1
        }
    }

    /// Makes a large record known whose segment is already durable.
    private mutating func publish(_ put: Put, _ large: LargeSegment) -> PutResult {
        do {
            try append([.sealed(large.segment, .large, footerOffset: large.footerOffset)])
        } catch {
            return .failed(error)
        }
        let now = view.clock.wallMilliseconds()
        segments.set(large.segment, .sealed, end: large.footerOffset, createdAtMilliseconds: now)
        let change: Int
        do {
            change = try index.insert(
                [IndexedRecord(id: put.id, locator: large.locator)],
                segment: large.segment,
                indexedUpTo: large.footerOffset
            )
        } catch {
            return .failed(fail("\(error)"))
        }
        facts.update { facts in
            facts.recordCount += change
            facts.writtenRecordCount += 1
            facts.usedBytes += large.byteCount
        }
        return .durable(wasThere: false)
    }
}
