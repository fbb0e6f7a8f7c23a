// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOConcurrencyHelpers
public import NIOCore
import Placement
import SegmentFormat

/// Writes one large record into a segment of its own while its bytes arrive.
///
/// One task uses it, one call after another, and ends with `commit` or `abort`. Until `commit` has returned the record
/// is not visible; one that is given up leaves nothing behind. Memory is bounded by the buffers that are handed in.
public final class LargeRecordWriter: Sendable {
    private struct State: Sendable {
        var blocks = BlockChecksums()
        var hasher = SHA256Hasher()
        var writtenByteCount: UInt64 = 0
        var syncedByteCount: UInt64 = 0
    }

    /// How many bytes may be in the page cache before they are synced, so that `commit` does not have to wait long.
    private static let syncByteCount: UInt64 = 32 << 20

    /// Whether the record is stored already: then bytes are checked and dropped, and `commit` says `alreadyStored`.
    public let isAlreadyStored: Bool

    private let store: SegmentStore
    private let header: RecordHeader
    private let file: (any DiskFile)?
    private let replaced: RecordLocator?
    /// Taken out while it is worked on, so that nothing in it is copied; `nil` meanwhile.
    private let state = NIOLockedValueBox<State?>(State())
    private let isEnded = NIOLockedValueBox(false)

    init(store: SegmentStore, header: RecordHeader, file: (any DiskFile)?, replaced: RecordLocator?) {
        self.store = store
        self.header = header
        self.file = file
        self.replaced = replaced
        self.isAlreadyStored = file == nil
    }

    deinit {
        // Whoever forgot to end it loses nothing; the next start would remove the file too.
        if file != nil, !isEnded.withLockedValue({ $0 }) { store.discardLarge(header.segment) }
    }

    /// Adds the readable bytes of `bytes` to the payload; returns when they are written (not: durable).
    public func write(_ bytes: ByteBuffer) async throws(SegmentStoreError) {
        try await store.bulk.run { () throws(SegmentStoreError) in
            var state = try self.takeState()
            defer { self.state.withLockedValue { [state] in $0 = state } }
            let end = state.writtenByteCount + UInt64(bytes.readableBytes)
            guard end <= self.header.payloadByteCount else {
                throw SegmentStoreError(.invalid, "more bytes arrived than were declared", record: self.header.id)
            }
            state.hasher.update(bytes)
            state.blocks.update(bytes)
            do throws(DiskError) {
                try self.file?.write([bytes], at: self.payloadStart + state.writtenByteCount)
                state.writtenByteCount = end
                if end - state.syncedByteCount >= Self.syncByteCount {
                    try self.file?.sync()
                    state.syncedByteCount = end
                }
            } catch {
                throw self.writeError(error)
            }
        }
    }

    /// Checks length and digest, makes the record durable, and makes it known.
    public func commit() async throws(SegmentStoreError) -> AppendOutcome {
        let large: LargeSegment?
        do {
            large = try await store.bulk.run { () throws(SegmentStoreError) in try self.finishFile() }
        } catch {
            await abort()
            throw error
        }
        isEnded.withLockedValue { $0 = true }
        guard let large else { return .alreadyStored }
        do {
            let outcome = try await store.publish(large, header: header, replaced: replaced)
            if outcome == .alreadyStored { store.discardLarge(header.segment) }
            return outcome
        } catch {
            // After another failure the file stays: the next start sees whether it is whole.
            if error.code == .conflict || error.code == .full { store.discardLarge(header.segment) }
            throw error
        }
    }

    /// Gives the record up and removes what was written of it.
    public func abort() async {
        let wasEnded = isEnded.withLockedValue { isEnded in
            defer { isEnded = true }
            return isEnded
        }
        if !wasEnded, file != nil { store.discardLarge(header.segment) }
    }

    private var payloadStart: UInt64 { header.offset + header.extent.payloadOffset }

    private func takeState() throws(SegmentStoreError) -> State {
        if isEnded.withLockedValue({ $0 }) {
            throw SegmentStoreError(.invalid, "large record is ended already", record: header.id)
        }
        let taken = state.withLockedValue { state in
            defer { state = nil }
            return state
        }
        guard let taken else {
            throw SegmentStoreError(.invalid, "large record is written by two tasks at once", record: header.id)
        }
        return taken
    }

    private func finishFile() throws(SegmentStoreError) -> LargeSegment? {
        let state = try takeState()
        guard state.writtenByteCount == header.payloadByteCount else {
            throw SegmentStoreError(.invalid, "fewer bytes arrived than were declared", record: header.id)
        }
        guard state.hasher.digest() == header.payloadDigest else {
            throw SegmentStoreError(
                .digestMismatch,
                "payload is not what was declared; send it again",
                record: header.id
            )
        }
        guard let file else { return nil }
        do {
            let recordEnd = header.offset + header.extent.paddedByteCount
            var tail = ByteBuffer()
            RecordTrailer.encode(blockChecksums: state.blocks.table, extent: header.extent, into: &tail)
            tail.writeRepeatingByte(0, count: Int(header.extent.paddedByteCount - header.extent.byteCount))
            var buffers = [tail]
            var footerOffset = recordEnd
            let rest = Int(recordEnd % UInt64(SegmentLayout.blockByteCount))
            if rest > 0 {
                let byteCount = SegmentLayout.blockByteCount - rest
                let padding = try RecordImage.padding(
                    byteCount: byteCount,
                    writtenAtMilliseconds: header.writtenAtMilliseconds
                )
                let parts = padding.parts(
                    cluster: header.cluster,
                    segment: header.segment,
                    offset: recordEnd,
                    batchOffset: header.batchOffset
                )
                buffers += [parts.head, parts.payload, parts.tail]
                footerOffset += UInt64(byteCount)
            }
            let entry = FooterEntry(id: header.id, type: header.type, offset: header.offset, extent: header.extent)
            let footer = try SegmentFooter.encoded(
                cluster: header.cluster,
                segment: header.segment,
                offset: footerOffset,
                entries: [entry]
            )
            buffers.append(footer)
            let end = footerOffset + UInt64(footer.readableBytes)
            try file.write(buffers, at: header.offset + header.extent.tableOffset)
            try file.cutReserve(at: end)
            try file.sync()
            return LargeSegment(
                segment: header.segment,
                footerOffset: footerOffset,
                byteCount: end,
                locator: RecordLocator(header)
            )
        } catch let error as DiskError {
            throw writeError(error)
        } catch {
            throw SegmentStoreError(.invalid, "large record can't be laid out: \(error)", record: header.id)
        }
    }

    /// A failed write or sync of a large record fails the store like any other.
    private func writeError(_ error: DiskError) -> SegmentStoreError {
        if error.isFull { return SegmentWriter.fullError(header.id) }
        return store.failWriting("a large record could not be written: \(error)", segment: header.segment)
    }
}
