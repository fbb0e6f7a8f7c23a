// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
package import Placement
package import SegmentFormat

/// An index in memory, for simulations: as fast as a dictionary, lost when it is dropped.
package final class MemoryIndex: RecordIndex {
    private struct State {
        var locators: [RecordID: RecordLocator] = [:]
        var amendments: [RecordID: [Amendment.Order: IndexedRecord]] = [:]
        var standings: [RecordID: RecordStanding] = [:]
        var ends: [SegmentID: UInt64] = [:]
        var others: [RecordID: [SegmentPlace: RecordLocator]] = [:]
        var drops: [RecordID: [SegmentPlace: RecordLocator]] = [:]

        func lookUp(_ id: RecordID) -> IndexLookup {
            IndexLookup(locator: locators[id], standing: standings[id] ?? RecordStanding())
        }
    }

    private let state = NIOLockedValueBox(State())

    init() {}

    fileprivate init(copying other: MemoryIndex) {
        let copy = other.state.withLockedValue { $0 }
        state.withLockedValue { $0 = copy }
    }

    package func close() {}

    package func sync() throws(IndexFailure) {}

    package func liveCount() throws(IndexFailure) -> Int {
        state.withLockedValue { state in state.locators.keys.count { state.lookUp($0).isLive } }
    }

    package func lookUp(_ ids: [RecordID]) throws(IndexFailure) -> [IndexLookup] {
        state.withLockedValue { state in ids.map { state.lookUp($0) } }
    }

    package func amendments(of id: RecordID) throws(IndexFailure) -> [IndexedRecord] {
        state.withLockedValue { state in
            (state.amendments[id] ?? [:]).sorted { $0.key < $1.key }.map(\.value)
        }
    }

    package func insert(
        _ records: [IndexedRecord],
        segment: SegmentID,
        indexedUpTo end: UInt64
    ) throws(IndexFailure) -> Int {
        state.withLockedValue { state in
            var change = 0
            for record in records {
                let wasLive = state.lookUp(record.id).isLive
                if let amendment = record.amendment {
                    state.amendments[record.id, default: [:]][amendment.order] = record
                    let all = state.amendments[record.id]?.values.compactMap(\.amendment) ?? []
                    state.standings[record.id] = RecordStanding(all)
                } else if record.locator.type == .drop {
                    for place in record.dropped {
                        state.drops[record.id, default: [:]][place] = record.locator
                        state.others[record.id]?[place] = nil
                        if state.locators[record.id]?.place == place { state.locators[record.id] = nil }
                    }
                } else {
                    if let before = state.locators[record.id], before != record.locator {
                        state.others[record.id, default: [:]][before.place] = before
                    }
                    state.others[record.id]?[record.locator.place] = nil
                    state.locators[record.id] = record.locator
                }
                let isLive = state.lookUp(record.id).isLive
                change += (isLive ? 1 : 0) - (wasLive ? 1 : 0)
            }
            state.ends[segment] = end
            return change
        }
    }

    package func move(_ moves: [IndexMove]) throws(IndexFailure) {
        state.withLockedValue { state in
            for move in moves {
                let id = move.record.id
                if let order = move.record.amendment?.order {
                    guard var stored = state.amendments[id]?[order], stored.locator == move.record.locator else {
                        continue
                    }
                    if let target = move.target {
                        stored.locator = target
                        state.amendments[id]?[order] = stored
                    } else {
                        state.amendments[id]?[order] = nil
                        let rest = state.amendments[id]?.values.compactMap(\.amendment) ?? []
                        if rest.isEmpty { state.amendments[id] = nil }
                        state.standings[id] = rest.isEmpty ? nil : RecordStanding(rest)
                    }
                } else if move.record.locator.type == .drop {
                    for (place, note) in state.drops[id] ?? [:] where note == move.record.locator {
                        state.drops[id]?[place] = move.target
                    }
                } else if state.locators[id] == move.record.locator {
                    state.locators[id] = move.target
                    guard let target = move.target else { continue }
                    state.others[id, default: [:]][move.record.locator.place] = move.record.locator
                    state.others[id]?[target.place] = nil
                }
            }
        }
    }

    package func forget(_ segment: SegmentID, _ records: [IndexedRecord]) throws(IndexFailure) {
        state.withLockedValue { state in
            state.ends[segment] = nil
            for record in records {
                let (id, place) = (record.id, record.locator.place)
                state.others[id]?[place] = nil
                state.drops[id]?[place] = nil
                for place in record.dropped where state.drops[id]?[place] == record.locator {
                    state.drops[id]?[place] = nil
                }
                if state.others[id]?.isEmpty == true { state.others[id] = nil }
                if state.drops[id]?.isEmpty == true { state.drops[id] = nil }
            }
        }
    }

    package func noteOthers(_ records: [IndexedRecord]) throws(IndexFailure) {
        state.withLockedValue { state in
            for record in records where state.locators[record.id] != record.locator {
                if state.drops[record.id]?[record.locator.place] != nil { continue }
                state.others[record.id, default: [:]][record.locator.place] = record.locator
            }
        }
    }

    package func others(of id: RecordID) throws(IndexFailure) -> [RecordLocator] {
        state.withLockedValue { state in (state.others[id] ?? [:]).sorted { $0.key < $1.key }.map(\.value) }
    }

    package func drops(of ids: [RecordID]) throws(IndexFailure) -> [[DroppedPlace]] {
        state.withLockedValue { state in
            ids.map { id in
                (state.drops[id] ?? [:]).sorted { $0.key < $1.key }.map { DroppedPlace(place: $0.key, note: $0.value) }
            }
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
        state.withLockedValue { state in
            let inGroup = state.locators.keys.filter { $0.group == group }
            return Self.page(inGroup.filter { state.lookUp($0).isLive }, group, after: previous, limit: limit)
        }
    }

    package func listAmended(
        group: PlacementGroup,
        after previous: RecordID?,
        limit: Int
    ) throws(IndexFailure) -> [RecordID] {
        state.withLockedValue { Self.page(Array($0.amendments.keys), group, after: previous, limit: limit) }
    }

    private static func page(
        _ ids: [RecordID],
        _ group: PlacementGroup,
        after previous: RecordID?,
        limit: Int
    ) -> [RecordID] {
        let wanted = ids.filter { id in id.group == group && previous.map { id > $0 } ?? true }
        return Array(wanted.sorted().prefix(limit))
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

    /// The index as it is now, for another run that begins here.
    package func copy() -> MemoryIndexProvider {
        let copy = MemoryIndexProvider()
        if let (owner, index) = current.withLockedValue({ $0 }) {
            copy.current.withLockedValue { $0 = (owner, MemoryIndex(copying: index)) }
        }
        return copy
    }

    /// Loses the index, as a crash of the machine does.
    package func drop() { current.withLockedValue { $0 = nil } }

    package func remove() throws(IndexFailure) { drop() }
}
