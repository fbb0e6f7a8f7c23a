// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
import Placement
import SegmentFormat

/// Brings the index up to date with one segment after another, and collects what there is to note about them.
struct SegmentRecovery {
    let configuration: SegmentStore.Configuration
    let files: SegmentFiles
    let index: any RecordIndex
    /// Whether every segment whose records were acknowledged is in the manifest.
    let isManifestWhole: Bool
    /// Ranges that the manifest knows to be unreadable, healed ones included.
    let known: [(segment: SegmentID, range: UnreadableRange)]
    let logger: Logger
    private let reader: RecordReader

    /// What is to be written to the manifest.
    private(set) var entries: [ManifestEntry] = []
    private(set) var unreadable: [(SegmentID, UnreadableRange)] = []
    /// Whether records may be lost that had been acknowledged.
    private(set) var hasDamage = false
    private(set) var hasRemovedFiles = false
    private(set) var usedBytes: UInt64 = 0
    /// The highest term that an amendment or a drop note names.
    private(set) var highestTerm = Term(rawValue: 0)
    /// Whether there are drop notes, and the highest segment that they name.
    private(set) var highestDropped: SegmentID?

    /// How many records go into the index at a time.
    private static let insertCount = 4096

    init(
        configuration: SegmentStore.Configuration,
        files: SegmentFiles,
        index: any RecordIndex,
        isManifestWhole: Bool,
        known: [(segment: SegmentID, range: UnreadableRange)],
        logger: Logger
    ) {
        self.configuration = configuration
        self.files = files
        self.index = index
        self.isManifestWhole = isManifestWhole
        self.known = known
        self.logger = logger
        self.reader = RecordReader(
            files: files,
            cluster: configuration.clusterID,
            maximumByteCount: configuration.maximumReadByteCount
        )
    }

    /// Looks at `segment`, of which the manifest says `known`.
    mutating func recover(_ segment: SegmentID, known: ManifestState.Extent?) throws(SegmentStoreError) {
        do {
            guard let file = try files.file(of: segment) else { return noteMissing(segment, known) }
            switch known {
            case .sealed(_, let footerOffset): try recoverSealed(segment, file, footerOffset: footerOffset)
            case .recovered(let end):
                usedBytes += end
                guard try indexedEnd(of: segment) < end else { break }
                // All of it had been acknowledged, but for what the first scan has noted.
                let result = try scan(segment, file, fileByteCount: end)
                for range in result.unreadable { noteUnlessKnown(segment, range.range) }
                if result.end < end, result.unreadable.isEmpty { noteUnlessKnown(segment, result.end..<end) }
            case .open, nil: try recoverOpen(segment, file, isKnown: known != nil)
            }
        } catch let error as SegmentStoreError {
            throw error
        } catch let error as DiskError {
            // One unreadable file does not keep the others from being served.
            note(segment, 0..<UInt64(SegmentHeader.byteCount), .damaged)
            logger.error("segment can't be read", metadata: ["segment": "\(segment)", "reason": "\(error)"])
        } catch {
            throw SegmentStoreError(.openFailed, "segment can't be indexed: \(error)", segment: segment)
        }
    }

    private mutating func recoverSealed(
        _ segment: SegmentID,
        _ file: any DiskFile,
        footerOffset: UInt64
    ) throws {
        usedBytes += try file.byteCount()
        if try indexedEnd(of: segment) >= footerOffset { return }
        if let footer = FooterReader(files: files, cluster: configuration.clusterID).footer(
            of: segment,
            at: footerOffset
        ) {
            var batch: [IndexedRecord] = []
            for entry in footer.entries {
                if let record = indexed(entry.id, RecordLocator(entry, in: segment)) { batch.append(record) }
                if batch.count == Self.insertCount {
                    try insert(batch, segment: segment, indexedUpTo: 0)
                    batch = []
                }
            }
            try insert(batch, segment: segment, indexedUpTo: footerOffset)
            return
        }
        logger.warning("segment's footer is unreadable, scanning", metadata: ["segment": "\(segment)"])
        let result = try scan(segment, file, fileByteCount: footerOffset)
        for range in result.unreadable { noteUnlessKnown(segment, range.range) }
        if result.end < footerOffset, result.unreadable.isEmpty {
            noteUnlessKnown(segment, result.end..<footerOffset)
        }
        _ = try index.insert([], segment: segment, indexedUpTo: footerOffset)
    }

    /// Scans a segment that was in use, or that the manifest does not know.
    private mutating func recoverOpen(_ segment: SegmentID, _ file: any DiskFile, isKnown: Bool) throws {
        // What a killed process wrote and did not sync may still be in memory only, and what a failed sync left there
        // may not be on the disk: write it out, and read what the disk has.
        do throws(DiskError) {
            try file.sync()
        } catch {
            // What the disk has of it is read all the same; what it has not may have been acknowledged.
            hasDamage = true
            logger.error("segment can't be synced", metadata: ["segment": "\(segment)", "reason": "\(error)"])
        }
        file.dropCache()
        let byteCount = try file.byteCount()
        // Whatever is wrong with the header, the records say themselves what they are.
        let header = try? SegmentHeader(decoding: file.read(at: 0, byteCount: SegmentHeader.byteCount))
        let segmentClass = header?.segmentClass ?? .shared
        if !isKnown, isManifestWhole {
            return try adopt(segment, file, fileByteCount: byteCount, segmentClass: header?.segmentClass)
        }
        if header == nil { note(segment, 0..<UInt64(SegmentHeader.byteCount), .damaged) }
        let result = try scan(segment, file, fileByteCount: byteCount)
        for range in result.unreadable { note(segment, range.range, range.kind) }
        if let footer = result.footer {
            usedBytes += byteCount
            entries.append(.sealed(segment, segmentClass, footerOffset: footer.offset))
        } else {
            usedBytes += result.end
            entries.append(.recovered(segment, end: result.end))
            file.releaseUnwritten(from: result.end)
        }
    }

    /// Keeps a segment that the manifest does not know when it is whole, and removes it otherwise.
    ///
    /// Nothing in it was acknowledged: a large record's segment that was not finished or not made known, or a segment
    /// that was only just made. A footer alone proves nothing: it is written before all that precedes it is synced.
    /// A shared segment with records in it is kept in any case.
    private mutating func adopt(
        _ segment: SegmentID,
        _ file: any DiskFile,
        fileByteCount: UInt64,
        segmentClass: SegmentClass?
    ) throws {
        var found: [IndexedRecord] = []
        let start = UInt64(SegmentHeader.byteCount)
        let result = try find(in: segment, file, start: start, fileByteCount: fileByteCount) { found += $0 }
        // What the index knows had been made known and was durable: the manifest has lost that note since.
        let indexedEnd = try indexedEnd(of: segment)
        let isIndexed = indexedEnd > start
        // Of a copy that was not made known, all is where it came from.
        if let segmentClass, segmentClass != .compacted || isIndexed, let footer = result.footer,
            result.unreadable.isEmpty, !found.isEmpty
        {
            if isIndexed { hasDamage = true }
            try insert(found, segment: segment, indexedUpTo: footer.offset)
            usedBytes += fileByteCount
            entries.append(.sealed(segment, segmentClass, footerOffset: footer.offset))
            return
        }
        if isIndexed || (segmentClass != .large && segmentClass != .compacted && !found.isEmpty) {
            // Its making is noted before its first record is written: the manifest has lost that note since.
            hasDamage = true
            // What the index knows is not a batch that was never finished.
            let end = max(result.end, indexedEnd)
            try insert(found, segment: segment, indexedUpTo: result.footer?.offset ?? end)
            for range in result.unreadable {
                note(segment, range.range, range.range.lowerBound < indexedEnd ? .damaged : range.kind)
            }
            usedBytes += end
            entries.append(.recovered(segment, end: end))
            logger.error("segment that the manifest has lost is kept", metadata: ["segment": "\(segment)"])
            return
        }
        try files.remove(segment)
        hasRemovedFiles = true
        logger.info("segment with nothing acknowledged removed", metadata: ["segment": "\(segment)"])
    }

    /// Reads once more what could not be read, and indexes the sound records in it; returns whether there are any, and by how
    /// many the records that are stored and not deleted have become more.
    mutating func reread(
        _ segment: SegmentID,
        _ range: Range<UInt64>
    ) throws -> (isSound: Bool, change: Int) {
        guard let file = try files.file(of: segment) else { return (false, 0) }
        file.dropCache()
        let before = try index.liveCount()
        let end = try indexedEnd(of: segment)
        let recovery = self
        var isSound = false
        _ = try find(in: segment, file, start: range.lowerBound, fileByteCount: range.upperBound) { batch in
            isSound = isSound || !batch.isEmpty
            try recovery.insert(batch, segment: segment, indexedUpTo: end)
        }
        return (isSound, try index.liveCount() - before)
    }

    /// Finds every sound record behind what is indexed of a segment, and indexes it.
    private mutating func scan(
        _ segment: SegmentID,
        _ file: any DiskFile,
        fileByteCount: UInt64
    ) throws -> SegmentScanner.Result {
        let start = max(try indexedEnd(of: segment), UInt64(SegmentHeader.byteCount))
        let recovery = self
        let result = try find(in: segment, file, start: start, fileByteCount: fileByteCount) { batch in
            try recovery.insert(batch, segment: segment, indexedUpTo: start)
        }
        try insert([], segment: segment, indexedUpTo: result.footer?.offset ?? result.end)
        return result
    }

    /// Hands every sound record of a segment to `body`, some at a time.
    private mutating func find(
        in segment: SegmentID,
        _ file: any DiskFile,
        start: UInt64,
        fileByteCount: UInt64,
        _ body: ([IndexedRecord]) throws -> Void
    ) throws -> SegmentScanner.Result {
        var scanner = SegmentScanner(
            cluster: configuration.clusterID,
            segment: segment,
            start: start,
            fileByteCount: fileByteCount
        )
        var batch: [IndexedRecord] = []
        while true {
            switch scanner.next() {
            case .read(let offset, let byteCount):
                scanner.received(Self.readTolerantly(file, at: offset, byteCount: byteCount))
            case .findData(let offset): scanner.receivedData(at: file.nextData(at: offset))
            case .record(let header):
                if let record = indexed(header.id, RecordLocator(header)) { batch.append(record) }
                if batch.count == Self.insertCount {
                    try body(batch)
                    batch = []
                }
            case .finished(let result):
                try body(batch)
                return result
            }
        }
    }

    /// Indexes records, but keeps a record that is indexed elsewhere and sound: one that was found damaged and was
    /// stored again may be in any segment.
    private func insert(
        _ batch: [IndexedRecord],
        segment: SegmentID,
        indexedUpTo end: UInt64
    ) throws(IndexFailure) {
        let lookups = try index.lookUp(batch.map(\.id))
        let drops = try index.drops(of: batch.map(\.id))
        var wanted: [IndexedRecord] = []
        var others: [IndexedRecord] = []
        for (number, record) in batch.enumerated() {
            if record.hasContent, drops[number].contains(where: { $0.place == record.locator.place }) { continue }
            var existing = record.locator.type == .drop ? nil : lookups[number].locator
            if let amendment = record.amendment {
                existing = try index.amendments(of: record.id).first { $0.amendment?.order == amendment.order }?.locator
            }
            if let existing, existing != record.locator,
                // Any failure means the same: the record elsewhere is not to be relied on.
                (try? reader.verify(record.id, at: existing, includesDigest: false)) != nil
            {
                if record.hasContent { others.append(record) }
                continue
            }
            wanted.append(record)
        }
        try index.noteOthers(others)
        _ = try index.insert(wanted, segment: segment, indexedUpTo: end)
        for note in wanted where note.locator.type == .drop { try fillPlace(of: note.id) }
    }

    /// Points to another place of a record whose place was dropped, if there is one that was not.
    ///
    /// A copy that was stored after the drop may have been read before the note.
    private func fillPlace(of id: RecordID) throws(IndexFailure) {
        guard try index.lookUp(id).locator == nil else { return }
        let others = try index.others(of: id)
        let sound = others.first { (try? reader.verify(id, at: $0, includesDigest: false)) != nil }
        guard let place = sound ?? others.last, let end = try index.indexedEnd(of: place.segment) else { return }
        _ = try index.insert([IndexedRecord(id: id, locator: place)], segment: place.segment, indexedUpTo: end)
    }

    /// What the index is to know of a sound record; notes an amendment that says nothing as damage.
    private mutating func indexed(_ id: RecordID, _ locator: RecordLocator) -> IndexedRecord? {
        if locator.type == .drop { return indexedDrop(id, locator) }
        guard locator.type == .tombstone || locator.type == .amendment else {
            return IndexedRecord(id: id, locator: locator)
        }
        do {
            let info = try reader.head(id, at: locator)
            let amendment = try Amendment(decoding: info.metadata, subject: id, type: info.type)
            highestTerm = max(highestTerm, amendment.order.term)
            return IndexedRecord(id: id, locator: locator, amendment: amendment)
        } catch {
            logger.error("amendment can't be read", metadata: ["reason": "\(error)"])
            note(locator.segment, locator.offset..<(locator.offset + locator.extent.byteCount), .damaged)
            return nil
        }
    }

    /// What a drop note says; `nil` when it can't be read: then a copy is back that nobody needs, which does no harm.
    private mutating func indexedDrop(_ id: RecordID, _ locator: RecordLocator) -> IndexedRecord? {
        do {
            let note = try DropNote(decoding: try reader.head(id, at: locator).metadata)
            highestTerm = max(highestTerm, note.term)
            let highest = note.places.reduce(SegmentID(rawValue: 0)) { max($0, $1.segment) }
            highestDropped = max(highestDropped ?? highest, highest)
            return IndexedRecord(id: id, locator: locator, dropped: note.places)
        } catch {
            logger.warning("drop note can't be read", metadata: ["reason": "\(error)"])
            return nil
        }
    }

    /// Bytes that the disk does not give are replaced by what no check accepts.
    private static func readTolerantly(_ file: any DiskFile, at offset: UInt64, byteCount: Int) -> ByteBuffer {
        // A failed read is answered by smaller ones, and these by bytes that count as damage.
        if let bytes = try? file.read(at: offset, byteCount: byteCount) { return bytes }
        var result = ByteBuffer()
        let step = SegmentLayout.blockByteCount
        for start in stride(from: 0, to: byteCount, by: step) {
            let count = min(step, byteCount - start)
            if var part = try? file.read(at: offset + UInt64(start), byteCount: count) {
                let missing = count - part.readableBytes
                result.writeBuffer(&part)
                result.writeRepeatingByte(0xFF, count: missing)
            } else {
                result.writeRepeatingByte(0xFF, count: count)
            }
        }
        return result
    }

    private func indexedEnd(of segment: SegmentID) throws(IndexFailure) -> UInt64 {
        try index.indexedEnd(of: segment) ?? 0
    }

    // MARK: Notes

    private mutating func noteMissing(_ segment: SegmentID, _ known: ManifestState.Extent?) {
        let end: UInt64
        switch known {
        case .sealed(_, let footerOffset): end = footerOffset
        case .recovered(let recoveredEnd): end = recoveredEnd
        case .open, nil: end = UInt64(SegmentHeader.byteCount)
        }
        note(segment, 0..<end, .damaged)
        logger.error("segment file is missing", metadata: ["segment": "\(segment)"])
    }

    /// Notes damage in a segment that was scanned before, unless the manifest knows of it already.
    private mutating func noteUnlessKnown(_ segment: SegmentID, _ range: Range<UInt64>) {
        let isKnown = known.contains { known in
            // What a read has noted ends with the record, what a scan finds with the gap behind it.
            let end = SegmentLayout.aligned(known.range.range.upperBound, to: SegmentLayout.blockByteCount)
            return known.segment == segment && known.range.range.lowerBound <= range.lowerBound
                && end ?? .max >= range.upperBound
        }
        if !isKnown { note(segment, range, .damaged) }
    }

    private mutating func note(_ segment: SegmentID, _ range: Range<UInt64>, _ kind: UnreadableRange.Kind) {
        let found = UnreadableRange(range: range, kind: kind)
        unreadable.append((segment, found))
        entries.append(.unreadable(segment, found))
        if kind == .damaged { hasDamage = true }
        logger.warning(
            "segment has an unreadable range",
            metadata: ["segment": "\(segment)", "range": "\(range)", "kind": "\(kind)"]
        )
    }
}
