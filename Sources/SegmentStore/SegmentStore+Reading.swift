// SPDX-License-Identifier: Apache-2.0

import Logging
public import NIOCore
public import Placement
import SegmentFormat

extension SegmentStore {
    /// Metadata, length and digest of a record; `nil` when it is not known (see `StoreStatus.isUncertain`).
    public func head(_ id: RecordID) async throws(SegmentStoreError) -> RecordInfo? {
        try await onReader { () throws(SegmentStoreError) in
            guard let locator = try self.locator(of: id) else { return nil }
            return try self.noting(locator) { () throws(SegmentStoreError) in try self.reader.head(id, at: locator) }
        }
    }

    /// The bytes of a record's payload in `range`, or all of them.
    ///
    /// The CRC32C of every 64 KiB block that is touched is checked: `.checksumMismatch`, never wrong bytes.
    public func read(_ id: RecordID, range: Range<Int>? = nil) async throws(SegmentStoreError) -> ByteBuffer {
        try await onReader { () throws(SegmentStoreError) in
            let locator = try self.requiredLocator(of: id)
            return try self.noting(locator) { () throws(SegmentStoreError) in
                try self.reader.read(id, at: locator, range: range)
            }
        }
    }

    /// Checks all of a record: header, metadata, every block, and the SHA-256 of the payload.
    public func verify(_ id: RecordID) async throws(SegmentStoreError) {
        try await onReader { () throws(SegmentStoreError) in
            let locator = try self.requiredLocator(of: id)
            try self.noting(locator) { () throws(SegmentStoreError) in
                _ = try self.reader.verify(id, at: locator, includesDigest: true)
            }
        }
    }

    /// At most `limit` ids of `group`, in order, beginning after `previous`.
    public func list(
        group: PlacementGroup,
        after previous: RecordID? = nil,
        limit: Int
    ) async throws(SegmentStoreError) -> [RecordID] {
        guard limit > 0 else { return [] }
        return try await onReader { () throws(SegmentStoreError) in
            do throws(RecordIndex.Failure) {
                return try self.index.list(group: group, after: previous, limit: limit)
            } catch {
                throw Self.indexError(error)
            }
        }
    }

    func locator(of id: RecordID) throws(SegmentStoreError) -> RecordLocator? {
        do {
            return try index.locator(of: id)
        } catch {
            throw Self.indexError(error)
        }
    }

    private func requiredLocator(of id: RecordID) throws(SegmentStoreError) -> RecordLocator {
        guard let locator = try locator(of: id) else {
            throw SegmentStoreError(.notFound, "no record with this id is known", record: id)
        }
        return locator
    }

    /// Runs `body`, and remembers the record as damaged when its bytes are not what they should be.
    private func noting<Value>(
        _ locator: RecordLocator,
        _ body: () throws(SegmentStoreError) -> Value
    ) throws(SegmentStoreError) -> Value {
        do {
            return try body()
        } catch {
            if error.code == .checksumMismatch || error.code == .readFailed, facts.noteDamage(locator) {
                logger.error("record is damaged", metadata: ["reason": "\(error)"])
            }
            throw error
        }
    }

    private static func indexError(_ failure: RecordIndex.Failure) -> SegmentStoreError {
        SegmentStoreError(
            .readFailed,
            "index \(failure.operation) failed, number \(failure.number); restart the node to have it rebuilt"
        )
    }
}
