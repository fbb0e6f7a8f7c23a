// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
public import NIOCore
import SegmentFormat

/// Writes one large record into a segment of its own while its bytes arrive.
///
/// One task uses it, one call after another, and ends with `commit` or `abort`. Until `commit` has returned the record
/// is not visible; one that is given up leaves nothing behind. Memory is bounded by the buffers that are handed in.
public final class LargeRecordWriter: Sendable {
    private enum State: Sendable {
        /// Taken out while it is worked on, so that nothing in it is copied.
        case idle(LargeRecord)
        case inUse
        case ended
    }

    /// Whether the record is stored already: then bytes are checked and dropped, and `commit` says `alreadyStored`.
    public let isAlreadyStored: Bool

    private let store: SegmentStore
    private let state: NIOLockedValueBox<State>

    init(store: SegmentStore, record: LargeRecord) {
        self.store = store
        self.isAlreadyStored = record.isAlreadyStored
        self.state = NIOLockedValueBox(.idle(record))
    }

    deinit {
        // Whoever forgot to end it loses nothing; the next start would remove the file too.
        if case .idle(let record) = state.withLockedValue({ $0 }) { record.discard() }
    }

    /// Adds the readable bytes of `bytes` to the payload; returns when they are written (not: durable).
    public func write(_ bytes: ByteBuffer) async throws(SegmentStoreError) {
        try await store.bulk.run { () throws(SegmentStoreError) in
            var record = try self.take()
            defer { self.state.withLockedValue { [record] in $0 = .idle(record) } }
            try record.write(bytes)
        }
    }

    /// Checks length and digest, makes the record durable, and makes it known.
    public func commit() async throws(SegmentStoreError) -> AppendOutcome {
        let taken: (record: LargeRecord, put: Put?)
        do {
            taken = try await store.bulk.run { () throws(SegmentStoreError) in
                let record = try self.take()
                // Back for `abort` to remove, should it fail.
                defer { self.state.withLockedValue { $0 = .idle(record) } }
                return (record, try record.finish().map { record.put($0) })
            }
        } catch {
            await abort()
            throw error
        }
        state.withLockedValue { $0 = .ended }
        guard let put = taken.put else { return .alreadyStored }
        return try taken.record.settle(await store.submit(put))
    }

    /// Gives the record up and removes what was written of it.
    public func abort() async {
        let last = state.withLockedValue { state in
            defer { state = .ended }
            return state
        }
        if case .idle(let record) = last { record.discard() }
    }

    private func take() throws(SegmentStoreError) -> LargeRecord {
        let taken = state.withLockedValue { state in
            defer { if case .idle = state { state = .inUse } }
            return state
        }
        switch taken {
        case .idle(let record): return record
        case .inUse: throw SegmentStoreError(.invalid, "large record is written by two tasks at once")
        case .ended: throw SegmentStoreError(.invalid, "large record is ended already")
        }
    }
}
