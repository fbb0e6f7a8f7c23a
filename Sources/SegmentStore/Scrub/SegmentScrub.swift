// SPDX-License-Identifier: Apache-2.0

import Logging
import NIOCore
package import Placement
package import SegmentFormat

/// Reads one segment from the disk, past the page cache, and checks every checksum and digest in it, piece by piece.
///
/// Each step blocks for one read. What is damaged and still counts is noted in the view; nothing is changed.
package struct SegmentScrub {
    /// Bytes read at a time.
    package static let pieceByteCount = 1 << 20

    package let segment: SegmentID
    private let view: StoreView
    private let entry: SegmentTable.Entry
    private let file: (any DiskFile)?
    private var scanner: SegmentScanner
    /// The records found damaged that are not stored elsewhere.
    package private(set) var damaged: [RecordID] = []

    /// A check of all that is in `segment` now.
    init(_ segment: SegmentID, _ entry: SegmentTable.Entry, in view: StoreView) {
        self.segment = segment
        self.view = view
        self.entry = entry
        // A file that can't be opened is a segment of which nothing can be read.
        self.file = (try? view.files.file(of: segment)) ?? nil
        self.scanner = SegmentScanner(
            cluster: view.configuration.clusterID,
            segment: segment,
            fileByteCount: entry.end,
            windowByteCount: Self.pieceByteCount,
            includesDigests: true
        )
    }

    /// Reads and checks the next piece; returns how many bytes were read, `nil` when the segment is done.
    package mutating func step() -> Int? {
        while true {
            switch scanner.next() {
            case .read(let offset, let byteCount):
                scanner.received(read(at: offset, byteCount: byteCount))
                return byteCount
            case .findData(let offset):
                // Everything up to the end was written once: a hole is damage like any other.
                scanner.receivedData(at: offset)
            case .record: break
            case .finished(let result):
                finish(result)
                return nil
            }
        }
    }

    /// Bytes that the disk does not give are replaced by what no check accepts, block by block.
    private func read(at offset: UInt64, byteCount: Int) -> ByteBuffer {
        if let bytes = try? file?.readPastCache(at: offset, byteCount: byteCount) { return bytes }
        var result = ByteBuffer()
        for start in stride(from: 0, to: byteCount, by: SegmentLayout.blockByteCount) {
            let count = min(SegmentLayout.blockByteCount, byteCount - start)
            if var part = try? file?.readPastCache(at: offset + UInt64(start), byteCount: count) {
                result.writeBuffer(&part)
            }
            result.writeRepeatingByte(0xFF, count: start + count - result.readableBytes)
        }
        return result
    }

    private mutating func finish(_ result: SegmentScanner.Result) {
        // It may have gone to the trash meanwhile.
        guard view.segments.entry(of: segment) != nil else { return }
        var ranges = result.unreadable.map(\.range)
        if result.end < entry.end, ranges.last.map({ $0.upperBound < entry.end }) ?? true {
            ranges.append(result.end..<entry.end)
        }
        let isSealed = entry.state == .sealed
        let footer = FooterReader(files: view.files, cluster: view.configuration.clusterID)
        let entries = isSealed ? footer.footer(of: segment, at: entry.end)?.entries : nil
        if isSealed, !footer.isWhole(segment, at: entry.end) {
            view.logger.error("segment's footer is damaged", metadata: ["segment": "\(segment)"])
        }
        for range in ranges { note(range, entries) }
    }

    /// Notes what is damaged in a range and not stored elsewhere.
    private mutating func note(_ range: Range<UInt64>, _ entries: [FooterEntry]?) {
        guard let entries else {
            // Which records these were is not known; what was noted before is known to be lost or healed.
            if !view.facts.isQuarantined(segment, range), view.facts.noteDamage(segment, range) {
                view.logger.error(
                    "segment has a damaged range",
                    metadata: ["segment": "\(segment)", "range": "\(range)"]
                )
            }
            return
        }
        for entry in entries where entry.offset < range.upperBound && entry.offset >= range.lowerBound {
            let locator = RecordLocator(entry, in: segment)
            guard counts(entry.id, locator), !view.isSoundOnDisk(entry.id, locator) else { continue }
            damaged.append(entry.id)
            if view.noteDamage(entry.id, at: locator) {
                view.logger.error(
                    "record is damaged",
                    metadata: ["segment": "\(segment)", "offset": "\(entry.offset)"]
                )
            }
        }
    }

    /// Whether the record at `locator` is the one that the store gives out or must keep.
    private func counts(_ id: RecordID, _ locator: RecordLocator) -> Bool {
        // What the index knows of a drop, it keeps; when that is lost as well, a copy too many is back.
        if locator.type == .drop { return false }
        // When the index can't tell, it counts.
        guard let lookup = try? view.index.lookUp(id), let amendments = try? view.index.amendments(of: id) else {
            return true
        }
        if locator.type == .tombstone || locator.type == .amendment {
            return amendments.contains { $0.locator == locator }
        }
        return lookup.locator == locator && (!lookup.standing.isDeleted || lookup.standing.isHeld)
    }
}

extension StoreView {
    /// Whether a record is sound when it is read from the disk once more.
    func isSoundOnDisk(_ id: RecordID, _ locator: RecordLocator) -> Bool {
        var reader = reader
        reader.isPastCache = true
        // Any failure means the same: the record is not to be relied on.
        return (try? reader.verify(id, at: locator, includesDigest: true)) != nil
    }

    /// Begins to check the segment that was checked the longest time ago; `nil` when there is none.
    package func oldestScrub() -> SegmentScrub? {
        loadCreationTimes()
        return segments.scrubState.oldest.map { SegmentScrub($0.segment, $0.entry, in: self) }
    }

    /// The age of the byte that was checked the longest time ago, in seconds; 0 in an empty store.
    package var oldestUncheckedSeconds: Double {
        guard let oldest = segments.scrubState.oldest else { return 0 }
        guard let checkedAt = oldest.entry.checkedAtMilliseconds else { return 0 }
        return Double(max(0, clock.wallMilliseconds() - checkedAt)) / 1000
    }

    /// Finds out when segments were made that were never checked.
    func loadCreationTimes() {
        for (segment, entry) in segments.all where entry.checkedAtMilliseconds == nil {
            // A header that can't be read makes the segment the most urgent one.
            let bytes = try? files.file(of: segment)?.read(at: 0, byteCount: SegmentHeader.byteCount)
            let header = bytes.flatMap { try? SegmentHeader(decoding: $0) }
            segments.setChecked(segment, atMilliseconds: header?.createdAtMilliseconds ?? 0)
        }
    }
}
