// SPDX-License-Identifier: Apache-2.0

import Glibc
import Logging
import NIOCore
import Placement
package import SegmentFormat

extension StoreEngine {
    /// How many segment numbers are reserved in the manifest at a time.
    static let reservationCount: UInt64 = 64

    static func fullError(_ record: RecordID?) -> SegmentStoreError {
        SegmentStoreError(.full, "too little space is left on the disk; free some or add a node", record: record)
    }

    /// Marks the store as write-failed, for good, and returns the error for everyone who waits.
    @discardableResult
    mutating func fail(_ what: String, segment: ActiveSegment? = nil) -> SegmentStoreError {
        if let failure { return failure }
        let error = SegmentStoreError(
            .writeFailed,
            "\(what); the store takes no more records: check the disk, then restart the node",
            segment: segment?.id,
            offset: segment?.position
        )
        failure = error
        active = nil
        facts.update { $0.writeFailure = error }
        logger.error("segment store takes no more records", metadata: ["reason": "\(error)"])
        if let segment {
            // The page cache may hold what the disk does not: reads must see the disk.
            segment.file.dropCache()
            do {
                try manifest.append([.writeFailed(segment.id)])
            } catch {
                logger.error("write failure could not be noted", metadata: ["reason": "\(error)"])
            }
        }
        return error
    }

    /// Appends `entries`, and those that waited for it, to the manifest.
    mutating func append(_ entries: [ManifestEntry]) throws(SegmentStoreError) {
        if let failure { throw failure }
        do {
            try manifest.append(pendingEntries + entries)
            pendingEntries = []
        } catch {
            if error.isFull { throw Self.fullError(nil) }
            throw fail("the manifest could not be written: \(error)")
        }
    }

    /// Writes the entries that wait for another block of the manifest.
    mutating func flushEntries() throws(SegmentStoreError) {
        if !pendingEntries.isEmpty { try append([ManifestEntry]()) }
    }

    /// A number that no segment ever had.
    package mutating func takeSegmentID() throws(SegmentStoreError) -> SegmentID {
        if let failure { throw failure }
        if nextSegmentID >= manifest.state.reservedBelow.rawValue {
            try append([.reserved(below: SegmentID(rawValue: nextSegmentID + Self.reservationCount))])
        }
        defer { nextSegmentID += 1 }
        return SegmentID(rawValue: nextSegmentID)
    }

    /// Makes a new segment and makes it durable before the manifest names it.
    mutating func create() throws(SegmentStoreError) {
        let id = try takeSegmentID()
        let header = SegmentHeader(
            segment: id,
            segmentClass: .shared,
            cluster: configuration.clusterID,
            node: configuration.nodeID,
            createdAtMilliseconds: view.clock.wallMilliseconds()
        )
        do {
            let file = try disk.createFile(files.path(of: id))
            var segment = ActiveSegment(id: id, file: file, allocatedEnd: 0)
            try reserve(upTo: UInt64(SegmentHeader.byteCount), in: &segment)
            try file.write([header.encoded()], at: 0)
            try file.sync()
            try disk.syncDirectory(files.directory)
            try append([.created(id)])
            files.add(file, for: id)
            segments.set(id, .active, end: segment.position, createdAtMilliseconds: header.createdAtMilliseconds)
            facts.update { $0.usedBytes += UInt64(SegmentHeader.byteCount) }
            active = segment
        } catch let error as DiskError {
            if error.isFull { throw discard(id) }
            throw fail("a segment could not be made: \(error)")
        } catch let error as SegmentStoreError {
            throw error.code == .full ? discard(id) : error
        } catch {
            throw fail("a segment could not be made: \(error)")
        }
    }

    /// Ends the active segment, whose records are durable already, with its footer.
    package mutating func seal() throws(SegmentStoreError) {
        guard let segment = active else { return }
        do {
            let footer = try SegmentFooter.encoded(
                cluster: configuration.clusterID,
                segment: segment.id,
                offset: segment.position,
                entries: segment.entries
            )
            try segment.file.write([footer], at: segment.position)
            try segment.file.cutReserve(at: segment.position + UInt64(footer.readableBytes))
            try segment.file.sync()
            facts.update { $0.usedBytes += UInt64(footer.readableBytes) }
            pendingEntries.append(.sealed(segment.id, .shared, footerOffset: segment.position))
            segments.set(segment.id, .sealed, end: segment.position)
            active = nil
        } catch {
            if let error = error as? DiskError, error.isFull {
                retire(segment)
                throw Self.fullError(nil)
            }
            throw fail("a segment could not be sealed: \(error)", segment: segment)
        }
    }

    /// Ends the active segment without a footer, for which there is no space.
    mutating func retire(_ segment: ActiveSegment) {
        pendingEntries.append(.recovered(segment.id, end: segment.position))
        segments.set(segment.id, .recovered, end: segment.position)
        active = nil
    }

    /// Reserves space up to `end`, and some more.
    func reserve(upTo end: UInt64, in segment: inout ActiveSegment) throws(SegmentStoreError) {
        guard let allocatedEnd = segment.allocatedEnd, end > allocatedEnd else { return }
        // What is left when space is low is not for one segment to reserve.
        let ahead = view.space == .ample ? allocatedEnd + configuration.allocationByteCount : end
        let newEnd = max(end, min(ahead, configuration.segmentByteCount))
        do {
            try segment.file.allocate(allocatedEnd..<newEnd)
            segment.allocatedEnd = newEnd
        } catch {
            if error.isFull { throw Self.fullError(nil) }
            // This file system reserves nothing: then a write tells when the disk is full.
            segment.allocatedEnd = nil
        }
    }

    /// Leaves the store so that the next start needs no scan.
    mutating func closeInOrder() {
        guard failure == nil else { return }
        do {
            if active != nil { try seal() }
            try recordDamage()
            try index.sync()
            try append([.closed])
        } catch {
            logger.warning(
                "store could not be closed in order; the next start will scan it",
                metadata: [
                    "reason": "\(error)"
                ]
            )
        }
    }

    /// Removes the file of a segment that could not be made for want of space.
    private func discard(_ id: SegmentID) -> SegmentStoreError {
        do {
            try files.remove(id)
        } catch {
            logger.warning("unused segment could not be removed", metadata: ["segment": "\(id)", "reason": "\(error)"])
        }
        return Self.fullError(nil)
    }
}

extension DiskError {
    /// Whether it failed for want of space before anything could be lost.
    var isFull: Bool {
        (number == ENOSPC || number == EDQUOT) && operation != "fdatasync"
    }
}
