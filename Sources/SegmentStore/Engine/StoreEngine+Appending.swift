// SPDX-License-Identifier: Apache-2.0

import Checksums
import Logging
import NIOCore
import Placement
import SegmentFormat

extension StoreEngine {
    /// Takes puts, each with an id of its own, through all that becomes of them.
    mutating func put(_ puts: [Put], answer: (Put, PutResult) -> Void) {
        guard let (fresh, known) = sort(puts, answer: answer) else { return }
        var wanted = fresh
        for (put, locator) in known {
            switch view.compare(put.id, put.digest, with: locator) {
            case .same: answer(put, .durable(wasThere: true))
            case .other(let stored): answer(put, .conflict(stored: stored))
            case .damaged:
                var put = put
                put.replaced = locator
                wanted.append(put)
            }
        }
        store(wanted, answer: answer)
    }

    /// The puts whose ids are not stored, and those that must be compared with what is stored first; `nil` when all
    /// have been answered by a failure.
    mutating func sort(
        _ puts: [Put],
        answer: (Put, PutResult) -> Void
    ) -> (fresh: [Put], known: [(Put, RecordLocator)])? {
        let locators: [RecordLocator?]
        do {
            locators = try index.locators(of: puts.map(\.id))
        } catch {
            let failure = fail("\(error)")
            for put in puts { answer(put, .failed(failure)) }
            return nil
        }
        var fresh: [Put] = []
        var known: [(Put, RecordLocator)] = []
        fresh.reserveCapacity(puts.count)
        for (put, locator) in zip(puts, locators) {
            if let locator, locator != put.replaced {
                known.append((put, locator))
            } else {
                fresh.append(put)
            }
        }
        return (fresh, known)
    }

    /// Stores puts that `sort` has found fresh, and answers each as soon as it is durable.
    mutating func store(_ puts: [Put], answer: (Put, PutResult) -> Void) {
        // A large record's thread may have failed the store.
        if failure == nil { failure = facts.current.writeFailure }
        var images: [Put] = []
        var hasSpace: Bool?
        for put in puts {
            if let failure {
                answer(put, .failed(failure))
                continue
            }
            switch put.content {
            case .large(let large): answer(put, publish(put, large))
            case .image:
                if hasSpace == nil { hasSpace = hasFreeSpace() }
                if hasSpace == true || put.mayUseReserve {
                    images.append(put)
                } else {
                    answer(put, .failed(Self.fullError(put.id)))
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
        do {
            try segment.file.write(image.buffers, at: segment.position)
        } catch {
            if error.isFull {
                // What was written of the batch stays where it is, behind the end of the segment.
                pendingEntries.append(.recovered(segment.id, end: segment.position))
                active = nil
                throw Self.fullError(nil)
            }
            throw fail("a batch could not be written: \(error)", segment: segment)
        }
        let start = view.clock.monotonicNanoseconds()
        do {
            try segment.file.sync()
        } catch {
            throw fail("a batch could not be synced: \(error)", segment: segment)
        }
        lastSyncNanoseconds = view.clock.monotonicNanoseconds() - start
        let entries = image.entries.map { (id: $0.id, locator: RecordLocator($0, in: segment.id)) }
        do {
            try index.insert(entries, segment: segment.id, indexedUpTo: image.end)
        } catch {
            throw fail("\(error)", segment: segment)
        }
        let writtenByteCount = image.end - segment.position
        segment.appended(image.entries, end: image.end)
        active = segment
        let replacedCount = batch.count { $0.replaced != nil }
        facts.update { facts in
            facts.recordCount += entries.count - replacedCount
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
        do {
            try index.insert(
                [(id: put.id, locator: large.locator)],
                segment: large.segment,
                indexedUpTo: large.footerOffset
            )
        } catch {
            return .failed(fail("\(error)"))
        }
        facts.update { facts in
            facts.recordCount += put.replaced == nil ? 1 : 0
            facts.writtenRecordCount += 1
            facts.usedBytes += large.byteCount
        }
        return .durable(wasThere: false)
    }
}
