// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement
import SegmentFormat

extension StoreView {
    /// Records asked of the index at once.
    private static let indexPageCount = 4096

    /// The damaged ranges and what is to be fetched for each; one that misses nothing and is complete can be cleared.
    ///
    /// Reads what is around the damage: for threads that may block for a while.
    package func damage() throws(SegmentStoreError) -> [DamagedRange] {
        try damage(from: nil, limit: .max).ranges
    }

    /// The damaged ranges from a position on, `limit` of them at most, with `limit` missing records in all.
    package func damage(from first: DamagePosition?, limit: Int) throws(SegmentStoreError) -> DamagePage {
        let facts = facts.current
        let all = facts.quarantined.filter { $0.kind == .damaged }
            .sorted { ($0.segment, $0.range.lowerBound) < ($1.segment, $1.range.lowerBound) }
        let wanted = all.drop { range in first?.isBeyond(range) ?? false }
        var page = DamagePage(ranges: [], unnamed: Self.digest(of: all.filter { $0.record == nil }, facts))
        let indexed = try indexedRecords(in: wanted.filter { $0.record == nil && !isSealed($0.segment) })
        var missingCount = 0
        for quarantined in wanted {
            let start = DamagePosition(segment: quarantined.segment, offset: quarantined.range.lowerBound)
            guard page.ranges.count < limit, missingCount < limit else {
                page.next = start
                return page
            }
            var range = try damage(in: quarantined, indexed: indexed[quarantined] ?? [])
            if let first, first.isIn(quarantined), let after = first.after {
                range.missing.removeAll { $0 <= after }
            }
            if range.missing.count > limit - missingCount {
                range.missing = Array(range.missing[..<(limit - missingCount)])
                page.next = start
                page.next?.after = range.missing.last
            }
            page.ranges.append(range)
            missingCount += range.missing.count
            if page.next != nil { return page }
        }
        return page
    }

    private func damage(
        in quarantined: QuarantinedRange,
        indexed: [Entry]
    ) throws(SegmentStoreError) -> DamagedRange {
        var (entries, isComplete) = contents(of: quarantined)
        entries += indexed
        var missing: Set<RecordID> = []
        var holdsSound = false
        for entry in entries {
            switch try fate(of: entry, in: quarantined) {
            case .kept: break
            case .sound: holdsSound = true
            case .missing: missing.insert(entry.id)
            case .unknown: isComplete = false
            }
        }
        return DamagedRange(
            quarantined: quarantined,
            missing: missing.sorted(),
            isComplete: isComplete,
            holdsSound: holdsSound
        )
    }

    private static func digest(of ranges: [QuarantinedRange], _ facts: StoreFacts.Values) -> UInt64 {
        var bytes = ByteBuffer(integer: facts.firstSegment)
        for range in ranges {
            bytes.writeMultipleIntegers(range.segment.rawValue, range.range.lowerBound, range.range.upperBound)
        }
        return SHA256Hasher.digest(of: bytes).words.0
    }

    private func isSealed(_ segment: SegmentID) -> Bool {
        segments.entry(of: segment)?.state == .sealed
    }

    /// What the index says to be in ranges of segments that have no footer to name it; goes through all of the index.
    private func indexedRecords(in ranges: [QuarantinedRange]) throws(SegmentStoreError) -> [QuarantinedRange: [Entry]]
    {
        guard !ranges.isEmpty else { return [:] }
        let bySegment = Dictionary(grouping: ranges, by: \.segment)
        var found: [QuarantinedRange: [Entry]] = [:]
        func note(_ id: RecordID, _ locator: RecordLocator) {
            for range in bySegment[locator.segment] ?? [] where range.covers(locator) {
                found[range, default: []].append(Entry(id: id, type: locator.type, offset: locator.offset))
            }
        }
        do {
            for group in PlacementGroup.all {
                var after: RecordID?
                repeat {
                    let ids = try index.list(group: group, after: after, limit: Self.indexPageCount)
                    for (id, lookup) in zip(ids, try index.lookUp(ids)) {
                        if let locator = lookup.locator { note(id, locator) }
                    }
                    after = ids.count == Self.indexPageCount ? ids.last : nil
                } while after != nil
                repeat {
                    let ids = try index.listAmended(group: group, after: after, limit: Self.indexPageCount)
                    for id in ids { for amendment in try index.amendments(of: id) { note(id, amendment.locator) } }
                    after = ids.count == Self.indexPageCount ? ids.last : nil
                } while after != nil
            }
        } catch {
            throw Self.indexError(error)
        }
        return found
    }

    private struct Entry {
        let id: RecordID
        /// `nil` when only the id is known.
        let type: RecordType?
        let offset: UInt64
    }

    private enum Fate {
        /// Stored elsewhere, or needed no more.
        case kept
        /// Stored in the range itself.
        case sound
        case missing, unknown
    }

    /// Whether a record that was in a damaged range is stored soundly, there or elsewhere.
    private func fate(of entry: Entry, in range: QuarantinedRange) throws(SegmentStoreError) -> Fate {
        let amendments: [IndexedRecord]
        do {
            amendments = try index.amendments(of: entry.id)
        } catch {
            throw Self.indexError(error)
        }
        let inRange = amendments.filter { range.covers($0.locator) }
        if inRange.contains(where: { !isSound($0) }) { return .missing }
        switch entry.type {
        case .tombstone?, .amendment?:
            // Which one it was is written in what is damaged, unless the index knows it.
            return inRange.isEmpty ? .unknown : .sound
        // What it said the index knows; when that is lost, too, a copy too many is back.
        case .drop?: return .kept
        default: break
        }
        let found: Fate = inRange.isEmpty ? .kept : .sound
        let lookup = try lookUp(entry.id)
        if lookup.standing.isDeleted, !lookup.standing.isHeld { return found }
        guard let locator = lookup.locator else {
            // Nobody misses what was dropped.
            let place = SegmentPlace(segment: range.segment, offset: entry.offset)
            if try isDropped(entry.id, place) { return found }
            // It may have been an amendment of a record that is not stored here at all.
            return entry.type == nil && !amendments.isEmpty ? .unknown : .missing
        }
        guard isSound(IndexedRecord(id: entry.id, locator: locator)) else { return .missing }
        return range.covers(locator) ? .sound : found
    }

    private func isDropped(_ id: RecordID, _ place: SegmentPlace) throws(SegmentStoreError) -> Bool {
        do {
            return try index.drops(of: [id]).joined().contains { $0.place == place }
        } catch {
            throw Self.indexError(error)
        }
    }

    /// On the disk: what the page cache has is not what the next start will find.
    private func isSound(_ record: IndexedRecord) -> Bool {
        isSoundOnDisk(record.id, record.locator)
    }

    /// The records that were in a range, as far as the footer or their own headers tell, and whether these are all.
    private func contents(of quarantined: QuarantinedRange) -> (entries: [Entry], isComplete: Bool) {
        if let record = quarantined.record {
            return ([Entry(id: record, type: nil, offset: quarantined.range.lowerBound)], true)
        }
        if let entry = segments.entry(of: quarantined.segment), entry.state == .sealed,
            let footer = FooterReader(files: files, cluster: configuration.clusterID)
                .footer(of: quarantined.segment, at: entry.end)
        {
            let inside = footer.entries.filter { entry in
                entry.offset < quarantined.range.upperBound
                    && entry.offset + entry.extent.byteCount > quarantined.range.lowerBound
            }
            return (inside.map { Entry(id: $0.id, type: $0.type, offset: $0.offset) }, true)
        }
        return (headers(in: quarantined), false)
    }

    /// The records in a range whose headers at least are sound.
    private func headers(in quarantined: QuarantinedRange) -> [Entry] {
        // Losing the error is right: what can't be read tells nothing, and the answer says that it is not complete.
        guard let file = try? files.file(of: quarantined.segment) else { return [] }
        var entries: [Entry] = []
        var offset = quarantined.range.lowerBound
        while offset < quarantined.range.upperBound {
            var next = offset + UInt64(SegmentLayout.recordAlignment)
            if let bytes = try? file.read(at: offset, byteCount: RecordHeader.byteCount),
                let header = try? RecordHeader(decoding: bytes),
                (try? header.requirePlace(
                    cluster: configuration.clusterID,
                    segment: quarantined.segment,
                    offset: offset
                )) != nil
            {
                if header.type != .padding { entries.append(Entry(id: header.id, type: header.type, offset: offset)) }
                next = offset + header.extent.paddedByteCount
            }
            offset = next
        }
        return entries
    }
}
