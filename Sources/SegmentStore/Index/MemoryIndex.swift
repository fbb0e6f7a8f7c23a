// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
package import Placement
package import SegmentFormat

/// An index in memory, for simulations: as fast as a dictionary, lost when it is dropped.
package final class MemoryIndex: RecordIndex {
    private struct State {
        var records: [RecordID: RecordLocator] = [:]
        var ends: [SegmentID: UInt64] = [:]
    }

    private let state = NIOLockedValueBox(State())

    init() {}

    package func close() {}

    package func sync() throws(IndexFailure) {}

    package func count() throws(IndexFailure) -> Int { state.withLockedValue { $0.records.count } }

    package func locators(of ids: [RecordID]) throws(IndexFailure) -> [RecordLocator?] {
        state.withLockedValue { state in ids.map { state.records[$0] } }
    }

    package func insert(
        _ entries: [(id: RecordID, locator: RecordLocator)],
        segment: SegmentID,
        indexedUpTo end: UInt64
    ) throws(IndexFailure) {
        state.withLockedValue { state in
            for entry in entries { state.records[entry.id] = entry.locator }
            state.ends[segment] = end
        }
    }

    package func indexedEnd(of segment: SegmentID) throws(IndexFailure) -> UInt64? {
        state.withLockedValue { $0.ends[segment] }
    }

    package func list(
        group: PlacementGroup,
        after previous: RecordID?,
        limit: Int
    ) throws(IndexFailure) -> [RecordID] {
        let ids = state.withLockedValue { state in
            state.records.keys.filter { id in id.group == group && previous.map { id > $0 } ?? true }
        }
        return Array(ids.sorted().prefix(limit))
    }
}

/// Keeps a store's index in memory between one engine and the next, as the page cache does between two processes.
package final class MemoryIndexProvider: RecordIndexProvider {
    private let current = NIOLockedValueBox<(owner: IndexOwner, index: MemoryIndex)?>(nil)

    package init() {}

    package func open(for store: IndexOwner) throws(IndexFailure) -> any RecordIndex {
        let (owner, index) = current.withLockedValue { current in
            let known = current ?? (store, MemoryIndex())
            current = known
            return known
        }
        guard owner == store else { throw IndexFailure("open another store's index", number: 22) }
        return index
    }

    /// Loses the index, as a crash of the machine does.
    package func drop() { current.withLockedValue { $0 = nil } }

    package func remove() throws(IndexFailure) { drop() }
}
