// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement
import SegmentFormat

/// Copies what still counts of one segment to a new one, as steps that block; only the engine makes it true.
///
/// Until the engine has made the copy known it is a file that the next start removes. Nothing is taken from the old
/// segment before the copy is durable, known, and pointed to.
package struct Compaction: Sendable {
    /// Bytes of records that are gathered for one write.
    private static let batchByteCount: UInt64 = 4 << 20

    let view: StoreView
    package let usage: SegmentUsage
    /// The segment of the copy; `nil` when there is nothing to copy.
    let target: SegmentID?
    private var file: (any DiskFile)?
    private var position = UInt64(SegmentHeader.byteCount)
    private var next = 0
    private var entries: [FooterEntry] = []
    /// Where each record of `usage.live` is now.
    private(set) var places: [RecordLocator] = []
    private(set) var footerOffset: UInt64 = 0
    /// The bytes of the copy's file.
    private(set) var byteCount: UInt64 = 0
    private(set) var isDurable = false
    /// How many index entries were moved.
    var movedCount = 0

    init(_ usage: SegmentUsage, in view: StoreView, target: SegmentID?) {
        self.usage = usage
        self.view = view
        self.target = target
    }

    /// The bytes that the copy takes, at most.
    static func neededByteCount(_ usage: SegmentUsage) -> UInt64 {
        usage.liveByteCount + UInt64(usage.live.count * FooterEntry.byteCount) + 64
            * UInt64(SegmentLayout.blockByteCount)
    }

    /// Copies the next batch of records, each checked; false when all are copied and durable.
    package mutating func step() throws(SegmentStoreError) -> Bool {
        guard let target else {
            isDurable = true
            return false
        }
        do {
            if file == nil { try create(target) }
            guard next < usage.live.count else {
                if !isDurable { try finish(target) }
                return false
            }
            try copyBatch(target)
            return true
        } catch let error as SegmentStoreError {
            discard()
            throw error
        } catch {
            discard()
            if let error = error as? DiskError, error.isFull { throw DiskSpace.low.error(nil, view.configuration) }
            throw view.failWriting("a segment could not be copied: \(error)", segment: target)
        }
    }

    private mutating func create(_ target: SegmentID) throws {
        let header = SegmentHeader(
            segment: target,
            segmentClass: .compacted,
            cluster: view.configuration.clusterID,
            node: view.configuration.nodeID,
            createdAtMilliseconds: view.clock.wallMilliseconds()
        )
        let file = try view.disk.createFile(view.files.path(of: target))
        self.file = file
        try file.write([header.encoded()], at: 0)
    }

    private mutating func copyBatch(_ target: SegmentID) throws {
        let start = next
        var images: [RecordImage] = []
        var byteCount: UInt64 = 0
        while next < usage.live.count, byteCount < Self.batchByteCount {
            let image = try image(of: usage.live[next])
            images.append(image)
            byteCount += image.extent.paddedByteCount
            next += 1
        }
        let batch = try BatchImage(
            images,
            cluster: view.configuration.clusterID,
            segment: target,
            offset: position,
            writtenAtMilliseconds: view.clock.wallMilliseconds()
        )
        try file?.write(batch.buffers, at: position)
        // Each batch is on the disk before the next one, as everywhere: a scan tells torn from damaged by it.
        try file?.sync()
        position = batch.end
        entries += batch.entries
        places += batch.entries.map { RecordLocator($0, in: target) }
        precondition(places.count == next && start < next, "each record has a place")
    }

    /// The records with content, where they are in the copy.
    var copies: [IndexedRecord] {
        zip(usage.live, places).filter { $0.0.hasContent }.map { IndexedRecord(id: $0.0.id, locator: $0.1) }
    }

    /// A drop note that cannot be read is made anew of what the index knows of it.
    private func image(of record: IndexedRecord) throws -> RecordImage {
        do {
            return try soundImage(of: record)
        } catch let error as SegmentStoreError {
            guard record.locator.type == .drop, [.checksumMismatch, .readFailed].contains(error.code) else {
                throw error
            }
            let nobody = Amendment.Reference(high: 0, low: 0)
            let note = DropNote(term: Term(rawValue: 0), permit: nobody, places: record.dropped)
            return try RecordImage(
                id: record.id,
                type: .drop,
                metadata: note.encoded(),
                payload: ByteBuffer(),
                payloadDigest: SHA256Hasher.digest(of: ByteBuffer()),
                mapEpoch: MapEpoch(rawValue: 0),
                writtenAtMilliseconds: view.clock.wallMilliseconds()
            )
        }
    }

    /// A record as it is on the disk, every checksum and the digest checked.
    private func soundImage(of record: IndexedRecord) throws -> RecordImage {
        var reader = view.reader
        reader.isPastCache = true
        do {
            try reader.verify(record.id, at: record.locator, includesDigest: true)
            let info = try reader.head(record.id, at: record.locator)
            let payload = try reader.read(record.id, at: record.locator, range: nil)
            return try RecordImage(
                id: record.id,
                type: info.type,
                metadata: info.metadata,
                payload: payload,
                payloadDigest: info.payloadDigest,
                mapEpoch: info.mapEpoch,
                writtenAtMilliseconds: info.writtenAtMilliseconds
            )
        } catch let error as SegmentStoreError {
            if record.locator.type != .drop, [.checksumMismatch, .readFailed].contains(error.code) {
                view.noteDamage(record.id, at: record.locator)
            }
            throw error
        }
    }

    private mutating func finish(_ target: SegmentID) throws {
        let footer = try SegmentFooter.encoded(
            cluster: view.configuration.clusterID,
            segment: target,
            offset: position,
            entries: entries
        )
        try file?.write([footer], at: position)
        try file?.sync()
        try view.disk.syncDirectory(view.files.directory)
        footerOffset = position
        byteCount = position + UInt64(footer.readableBytes)
        isDurable = true
    }

    /// Removes a copy that does not come to be.
    package func discard() {
        guard let target else { return }
        // The next start removes it otherwise: nothing knows of it.
        try? view.files.remove(target)
    }

    /// The index entries to be moved, `limit` of them from the one numbered `start` on.
    func moves(from start: Int, limit: Int) -> [IndexMove] {
        let all = usage.live.count + usage.droppable.count
        return (start..<min(all, start + limit)).map { number in
            number < usage.live.count
                ? IndexMove(record: usage.live[number], target: places[number])
                : IndexMove(record: usage.droppable[number - usage.live.count], target: nil)
        }
    }
}
