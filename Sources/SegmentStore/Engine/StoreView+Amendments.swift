// SPDX-License-Identifier: Apache-2.0

import NIOCore
package import Placement
package import SegmentFormat

extension StoreView {
    /// What was said about a record, in order, whether it is stored here or not.
    package func amendments(of id: RecordID) throws(SegmentStoreError) -> [StoredAmendment] {
        let known = try indexedAmendments(of: id)
        let result = Result { () throws(SegmentStoreError) in try read(known) }
        // A segment that was compacted may be gone between looking up and reading.
        if case .failure = result, known.contains(where: { segments.entry(of: $0.locator.segment) == nil }) {
            return try read(try indexedAmendments(of: id))
        }
        return try result.get()
    }

    /// What was said about a record as far as it can be read, in order, and whether that is all.
    package func readableAmendments(
        of id: RecordID
    ) throws(SegmentStoreError) -> (amendments: [StoredAmendment], isComplete: Bool) {
        var found: [StoredAmendment] = []
        var isComplete = true
        for amendment in try indexedAmendments(of: id) {
            switch Result(catching: { () throws(SegmentStoreError) in try read([amendment]) }) {
            case .success(let read): found += read
            case .failure where segments.entry(of: amendment.locator.segment) == nil:
                // Compacted between looking up and reading.
                return (try amendments(of: id), true)
            case .failure(let error):
                guard error.code == .checksumMismatch || error.code == .readFailed else { throw error }
                isComplete = false
            }
        }
        return (found, isComplete)
    }

    private func indexedAmendments(of id: RecordID) throws(SegmentStoreError) -> [IndexedRecord] {
        do {
            return try index.amendments(of: id)
        } catch {
            throw Self.indexError(error)
        }
    }

    private func read(_ amendments: [IndexedRecord]) throws(SegmentStoreError) -> [StoredAmendment] {
        var stored: [StoredAmendment] = []
        for record in amendments {
            try noting(record.id, at: record.locator) { () throws(SegmentStoreError) in
                let info = try reader.head(record.id, at: record.locator)
                let amendment: Amendment
                do throws(SegmentFormatError) {
                    amendment = try Amendment(decoding: info.metadata, subject: record.id, type: info.type)
                } catch {
                    throw SegmentStoreError(.checksumMismatch, "amendment: \(error.message)", record: record.id)
                }
                stored.append(
                    StoredAmendment(
                        amendment: amendment,
                        payload: try reader.read(record.id, at: record.locator, range: nil),
                        payloadDigest: info.payloadDigest,
                        mapEpoch: info.mapEpoch,
                        writtenAtMilliseconds: info.writtenAtMilliseconds
                    )
                )
            }
        }
        return stored
    }

    /// Whether a record is deleted or held, whether it is stored here or not.
    package func standing(of id: RecordID) throws(SegmentStoreError) -> RecordStanding { try lookUp(id).standing }

    /// At most `limit` ids of `group` about which something was said, in order, beginning after `previous`.
    package func listAmended(
        group: PlacementGroup,
        after previous: RecordID? = nil,
        limit: Int
    ) throws(SegmentStoreError) -> [RecordID] {
        guard limit > 0 else { return [] }
        do {
            return try index.listAmended(group: group, after: previous, limit: limit)
        } catch {
            throw Self.indexError(error)
        }
    }
}
