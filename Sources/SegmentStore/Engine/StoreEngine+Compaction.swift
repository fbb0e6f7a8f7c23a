// SPDX-License-Identifier: Apache-2.0

import Logging
package import Placement
package import SegmentFormat

extension StoreEngine {
    /// Index entries that one step moves.
    private static let moveCount = 512

    /// Prepares to copy what still counts of a segment elsewhere.
    ///
    /// Then, in this order: `Compaction.step` until it is done, `publish`, `move` until it is done, `retire`. A crash
    /// anywhere leaves each record in one segment or in both.
    package mutating func beginCompaction(_ usage: SegmentUsage) throws(SegmentStoreError) -> Compaction {
        if let failure { throw failure }
        if usage.live.isEmpty { return Compaction(usage, in: view, target: nil) }
        let freeBytes: UInt64
        do {
            freeBytes = try disk.freeByteCount(at: configuration.directory)
        } catch {
            throw SegmentStoreError(.full, "free space is unknown: \(error)")
        }
        guard freeBytes > configuration.effectiveHardLimitFreeBytes + Compaction.neededByteCount(usage) else {
            throw SegmentStoreError(.full, "too little space is left to copy a segment; purge the trash")
        }
        return Compaction(usage, in: view, target: try takeSegmentID())
    }

    /// Makes the copy known.
    package mutating func publish(_ compaction: Compaction) throws(SegmentStoreError) {
        precondition(compaction.isDurable, "only what is durable is made known")
        guard let target = compaction.target else { return }
        try dropAgain(compaction)
        do {
            // Known before it is a part of the store: a drop names all places.
            try index.noteOthers(compaction.copies)
        } catch {
            throw fail("\(error)")
        }
        try append([.sealed(target, .compacted, footerOffset: compaction.footerOffset)])
        let now = view.clock.wallMilliseconds()
        segments.set(target, .sealed, end: compaction.footerOffset, createdAtMilliseconds: now)
        do {
            _ = try index.insert([], segment: target, indexedUpTo: compaction.footerOffset)
        } catch {
            throw fail("\(error)")
        }
        facts.update { $0.usedBytes += compaction.byteCount }
    }

    /// Points the index to the copy, some records at a time; false when all are moved.
    package mutating func move(_ compaction: inout Compaction) throws(SegmentStoreError) -> Bool {
        if let failure { throw failure }
        let moves = compaction.moves(from: compaction.movedCount, limit: Self.moveCount)
        guard !moves.isEmpty else { return false }
        do {
            // What was undeleted or held meanwhile keeps its bytes.
            for move in moves where move.target == nil && move.record.hasContent {
                let lookup = try index.lookUp(move.record.id)
                guard lookup.locator != move.record.locator || (lookup.standing.isDeleted && !lookup.standing.isHeld)
                else { throw SegmentStoreError(.conflict, "a record came back to life", record: move.record.id) }
            }
            try index.move(moves)
        } catch {
            throw (error as? SegmentStoreError) ?? fail("\(error)")
        }
        compaction.movedCount += moves.count
        return true
    }

    /// Takes the old segment out of use, which is what makes the compaction true, and puts its file into the trash.
    package mutating func retire(_ compaction: Compaction) throws(SegmentStoreError) {
        precondition(compaction.moves(from: compaction.movedCount, limit: 1).isEmpty, "nothing points to it")
        let segment = compaction.usage.segment
        // What can't be told is not subtracted; the next start counts anew.
        let byteCount = (try? files.file(of: segment)?.byteCount()) ?? 0
        let now = view.clock.wallMilliseconds()
        try append([.retired(segment, atMilliseconds: now)])
        segments.remove(segment)
        facts.update { facts in
            facts.quarantined.removeAll { $0.segment == segment }
            facts.healed.removeAll { $0.segment == segment }
            facts.usedBytes -= min(facts.usedBytes, byteCount)
            facts.trash[segment] = now
        }
        do {
            try index.forget(segment, compaction.usage.records)
            try files.trash(segment, to: trashDirectory)
            try disk.syncDirectory(trashDirectory)
            try disk.syncDirectory(files.directory)
        } catch {
            throw fail("a retired segment could not be put into the trash: \(error)")
        }
        logger.info("segment retired", metadata: ["segment": "\(segment)"])
    }

    /// Compacts a segment from beginning to end; false when it is not one that can be.
    package mutating func compact(_ segment: SegmentID) throws(SegmentStoreError) -> Bool {
        guard let usage = try view.usage(of: segment) else { return false }
        var compaction = try beginCompaction(usage)
        while try compaction.step() {}
        try publish(compaction)
        while try move(&compaction) {}
        try retire(compaction)
        return true
    }

    /// Removes the file of a retired segment for good, when its time in the trash is over.
    ///
    /// `permit` is what a coordinator of the term `authority` issued for it. Fails with `.staleTerm` when a higher term
    /// has been heard of, with `.held` before the time is over, and with `.notFound` when the segment is not in the trash.
    package mutating func purge(
        _ segment: SegmentID,
        permit: Amendment.Reference,
        under authority: Term
    ) throws(SegmentStoreError) {
        if let failure { throw failure }
        guard authority >= manifest.state.highestTerm else {
            throw SegmentStoreError(.staleTerm, "a coordinator of a higher term has been heard of", segment: segment)
        }
        try observe(authority)
        guard let retiredAt = facts.current.trash[segment] else {
            throw SegmentStoreError(.notFound, "no such segment is in the trash", segment: segment)
        }
        guard view.clock.wallMilliseconds() - retiredAt >= configuration.trashGrace.milliseconds else {
            throw SegmentStoreError(.held, "the segment's time in the trash is not over", segment: segment)
        }
        try append([.purged(segment, permit: permit)])
        facts.update { $0.trash[segment] = nil }
        do {
            try disk.removeFile("\(trashDirectory)/\(segment.fileName)")
            try disk.syncDirectory(trashDirectory)
        } catch {
            // It is purged: the next start removes the file.
            logger.warning("purged file is still there", metadata: ["segment": "\(segment)", "reason": "\(error)"])
        }
    }

    private var trashDirectory: String { "\(configuration.directory)/trash" }
}
