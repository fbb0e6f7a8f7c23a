// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import SegmentFormat

extension StoreView {
    /// The damaged ranges and what is to be fetched for each; one that misses nothing and is complete can be cleared.
    ///
    /// Reads what is around the damage: for threads that may block for a while.
    package func damage() throws(SegmentStoreError) -> [DamagedRange] {
        var ranges: [DamagedRange] = []
        for quarantined in facts.current.quarantined where quarantined.kind == .damaged {
            let (entries, isComplete) = contents(of: quarantined)
            var missing: Set<RecordID> = []
            var isCertain = isComplete
            for entry in entries {
                switch try fate(of: entry, in: quarantined) {
                case .kept: break
                case .missing: missing.insert(entry.id)
                case .unknown: isCertain = false
                }
            }
            ranges.append(DamagedRange(quarantined: quarantined, missing: missing.sorted(), isComplete: isCertain))
        }
        return ranges
    }

    private struct Entry {
        let id: RecordID
        /// `nil` when only the id is known.
        let type: RecordType?
    }

    private enum Fate {
        case kept, missing, unknown
    }

    /// Whether a record that was in a damaged range is stored soundly, there or elsewhere.
    private func fate(of entry: Entry, in range: QuarantinedRange) throws(SegmentStoreError) -> Fate {
        let amendments: [IndexedRecord]
        do {
            amendments = try index.amendments(of: entry.id)
        } catch {
            throw Self.indexError(error)
        }
        for amendment in amendments where range.covers(amendment.locator) && !isSound(amendment) { return .missing }
        switch entry.type {
        case .tombstone?, .amendment?:
            // Which one it was is written in what is damaged, unless the index knows it.
            return amendments.contains { range.covers($0.locator) } ? .kept : .unknown
        default: break
        }
        let lookup = try lookUp(entry.id)
        if lookup.standing.isDeleted, !lookup.standing.isHeld { return .kept }
        guard let locator = lookup.locator else {
            // It may have been an amendment of a record that is not stored here at all.
            return entry.type == nil && !amendments.isEmpty ? .unknown : .missing
        }
        return isSound(IndexedRecord(id: entry.id, locator: locator)) ? .kept : .missing
    }

    private func isSound(_ record: IndexedRecord) -> Bool {
        // Any failure means the same: the record is not to be relied on.
        (try? reader.verify(record.id, at: record.locator, includesDigest: true)) != nil
    }

    /// The records that were in a range, as far as the footer or their own headers tell, and whether these are all.
    private func contents(of quarantined: QuarantinedRange) -> (entries: [Entry], isComplete: Bool) {
        if let record = quarantined.record { return ([Entry(id: record, type: nil)], true) }
        if let entry = segments.entry(of: quarantined.segment), entry.state == .sealed,
            let footer = FooterReader(files: files, cluster: configuration.clusterID)
                .footer(of: quarantined.segment, at: entry.end)
        {
            let inside = footer.entries.filter { entry in
                entry.offset < quarantined.range.upperBound
                    && entry.offset + entry.extent.byteCount > quarantined.range.lowerBound
            }
            return (inside.map { Entry(id: $0.id, type: $0.type) }, true)
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
                if header.type != .padding { entries.append(Entry(id: header.id, type: header.type)) }
                next = offset + header.extent.paddedByteCount
            }
            offset = next
        }
        return entries
    }
}
