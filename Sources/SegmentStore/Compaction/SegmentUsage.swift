// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
package import SegmentFormat

/// Which records of a segment still count.
package struct SegmentUsage: Sendable {
    package let segment: SegmentID
    /// The bytes of all records.
    package private(set) var byteCount: UInt64 = 0
    /// The bytes of those that must be kept.
    package private(set) var liveByteCount: UInt64 = 0
    /// What must be copied before the segment may go.
    private(set) var live: [IndexedRecord] = []
    /// What the index points to still, but that may go with the segment.
    private(set) var droppable: [IndexedRecord] = []
    /// All records.
    private(set) var records: [IndexedRecord] = []

    init(_ segment: SegmentID) { self.segment = segment }

    mutating func add(_ record: IndexedRecord, isLive: Bool, isIndexed: Bool) {
        byteCount += record.locator.extent.paddedByteCount
        records.append(record)
        if isLive {
            liveByteCount += record.locator.extent.paddedByteCount
            live.append(record)
        } else if isIndexed {
            droppable.append(record)
        }
    }

    /// The part of the records' bytes that nobody needs.
    package var deadFraction: Double {
        byteCount == 0 ? 1 : 1 - Double(liveByteCount) / Double(byteCount)
    }
}

extension StoreView {
    /// Finds out which records of a segment that takes no more of them still count.
    ///
    /// `nil` when the segment is in use, has damage that is not healed, or can't be listed.
    package func usage(of segment: SegmentID) throws(SegmentStoreError) -> SegmentUsage? {
        guard let entry = segments.entry(of: segment), entry.state != .active,
            !facts.current.quarantined.contains(where: { $0.segment == segment && $0.kind == .damaged }),
            let entries = records(of: segment, entry)
        else { return nil }
        var usage = SegmentUsage(segment)
        do throws(IndexFailure) {
            for entry in entries { try add(entry, to: &usage) }
        } catch {
            throw Self.indexError(error)
        }
        return usage
    }

    private func add(_ entry: FooterEntry, to usage: inout SegmentUsage) throws(IndexFailure) {
        let locator = RecordLocator(entry, in: usage.segment)
        let amendments = try index.amendments(of: entry.id)
        if entry.type == .tombstone || entry.type == .amendment {
            // Kept for ever, whatever became of the record: docs/decisions/0020-compaction-and-trash.md.
            let record = amendments.first { $0.locator == locator }
            let isLive = record != nil
            usage.add(record ?? IndexedRecord(id: entry.id, locator: locator), isLive: isLive, isIndexed: isLive)
            return
        }
        if entry.type == .drop {
            // Needed for as long as what it names is in another segment of the store; with this one its own goes, too.
            let places = try index.drops(of: [entry.id])[0].filter { $0.note == locator }.map(\.place)
            let isLive = places.contains { $0.segment != usage.segment && segments.entry(of: $0.segment) != nil }
            let record = IndexedRecord(id: entry.id, locator: locator, dropped: places)
            return usage.add(record, isLive: isLive, isIndexed: false)
        }
        let lookup = try index.lookUp(entry.id)
        let isIndexed = lookup.locator == locator
        usage.add(
            IndexedRecord(id: entry.id, locator: locator),
            isLive: isIndexed && !isDeletedForGood(lookup.standing, amendments),
            isIndexed: isIndexed
        )
    }

    /// Whether the deletion of a record can't be taken back any more.
    func isDeletedForGood(_ standing: RecordStanding, _ amendments: [IndexedRecord]) -> Bool {
        guard standing.isDeleted, !standing.isHeld,
            let decisive = amendments.first(where: { $0.amendment?.order == standing.decided }),
            // What can't be read decides nothing.
            let info = try? reader.head(decisive.id, at: decisive.locator),
            let deletion = try? Amendment(decoding: info.metadata, subject: decisive.id, type: info.type)
        else { return false }
        let kept = max(configuration.deletionGrace.milliseconds, Int64(deletion.keptDays) * 86_400_000)
        // By this node's clock, from when it heard of it: the time that was left to take it back here.
        return clock.wallMilliseconds() - info.writtenAtMilliseconds > kept
    }

    /// The records of a segment, by its footer or else by a scan; `nil` when a part can't be read.
    private func records(of segment: SegmentID, _ entry: SegmentTable.Entry) -> [FooterEntry]? {
        if entry.state == .sealed {
            return FooterReader(files: files, cluster: configuration.clusterID).footer(of: segment, at: entry.end)?
                .entries
        }
        // A part that can't be read ends the scan, and the segment is left alone.
        guard let file = try? files.file(of: segment) else { return nil }
        var scanner = SegmentScanner(cluster: configuration.clusterID, segment: segment, fileByteCount: entry.end)
        var entries: [FooterEntry] = []
        while true {
            switch scanner.next() {
            case .read(let offset, let byteCount):
                guard let bytes = try? file.read(at: offset, byteCount: byteCount) else { return nil }
                scanner.received(bytes)
            case .findData(let offset): scanner.receivedData(at: offset)
            case .record(let header):
                entries.append(
                    FooterEntry(id: header.id, type: header.type, offset: header.offset, extent: header.extent)
                )
            case .finished(let result):
                let isKnown = result.unreadable.allSatisfy { facts.isQuarantined(segment, $0.range) }
                return result.end == entry.end && isKnown ? entries : nil
            }
        }
    }
}

extension Duration {
    /// In whole milliseconds; a setting, so within 64 bits.
    var milliseconds: Int64 { components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000 }
}
