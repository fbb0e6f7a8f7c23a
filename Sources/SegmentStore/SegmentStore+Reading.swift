// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import Placement
package import SegmentFormat

extension SegmentStore {
    /// Metadata, length and digest of a record; `nil` when it is not known (see `StoreStatus.isUncertain`).
    public func head(_ id: RecordID) async throws(SegmentStoreError) -> RecordInfo? {
        if let inMemory = memoryReads.run({ view.headInMemory(id) }) { return inMemory }
        return try await readers.run { [view] () throws(SegmentStoreError) in try view.head(id) }
    }

    /// As ``head(_:)``, and the beginning of the payload's `range` (cut off at its end), up to `limit` bytes of it.
    ///
    /// On the caller's thread when it is in memory; else one turn of a reading thread, by which most records are read whole.
    /// Past the page cache, what is read from the disk stays out of memory.
    public func open(
        _ id: RecordID,
        range: Range<UInt64>,
        limit: Int,
        isPastCache: Bool = false
    ) async throws(SegmentStoreError) -> (info: RecordInfo, bytes: ByteBuffer)? {
        if !isPastCache, let inMemory = openInMemory(id, range: range, limit: limit) { return inMemory }
        return try await readers.run { [view] () throws(SegmentStoreError) in
            try view.open(id, range: range, limit: limit, isPastCache: isPastCache)
        }
    }

    /// As ``open(_:range:limit:)`` when it needs no disk; `nil` when it does, and when anything is wrong: then ask that.
    public func openInMemory(
        _ id: RecordID,
        range: Range<UInt64>,
        limit: Int
    ) -> (info: RecordInfo, bytes: ByteBuffer)? {
        memoryReads.run { view.openInMemory(id, range: range, limit: limit) }
    }

    /// Where records are, in their order (`nil` for what is not known, or deleted), when that can be looked up at once.
    package func placesInMemory(_ ids: [RecordID]) -> [RecordLocator?]? {
        memoryReads.run { ids.map { try? view.locator(of: $0) } }
    }

    /// The path of a segment file that holds records; `nil` when there is none, or no more.
    package func path(ofSegment segment: SegmentID) -> String? {
        view.segments.entry(of: segment) == nil ? nil : view.files.path(of: segment)
    }

    /// The bytes of a record's payload in `range`, or all of them.
    ///
    /// The CRC32C of every 64 KiB block that is touched is checked: `.checksumMismatch`, never wrong bytes.
    public func read(
        _ id: RecordID,
        range: Range<Int>? = nil,
        isPastCache: Bool = false
    ) async throws(SegmentStoreError) -> ByteBuffer {
        try await readers.run { [view] () throws(SegmentStoreError) in
            try view.read(id, range: range, isPastCache: isPastCache)
        }
    }

    /// Checks all of a record: header, metadata, every block, and the SHA-256 of the payload.
    public func verify(_ id: RecordID) async throws(SegmentStoreError) {
        try await readers.run { [view] () throws(SegmentStoreError) in try view.verify(id) }
    }

    /// At most `limit` ids of `group`, in order, beginning after `previous`.
    public func list(
        group: PlacementGroup,
        after previous: RecordID? = nil,
        limit: Int
    ) async throws(SegmentStoreError) -> [RecordID] {
        try await readers.run { [view] () throws(SegmentStoreError) in
            try view.list(group: group, after: previous, limit: limit)
        }
    }
}
