// SPDX-License-Identifier: Apache-2.0

import Placement
import SegmentFormat

/// All places of records: what a drop has to name, and what drops have named.
extension LMDBIndex {
    func noteOthers(_ records: [IndexedRecord]) throws(IndexFailure) {
        try writing { (transaction) throws(IndexFailure) in
            for record in records {
                let words = try self.records.get(transaction, Self.key(record.id), as: LocatorValue.self)
                if let words, try Self.locator(words) == record.locator { continue }
                if try dropped.has(transaction, Self.key(record.id, record.locator.place)) { continue }
                try others.put(transaction, Self.key(record.id, record.locator.place), record.locator.words)
            }
        }
    }

    func others(of id: RecordID) throws(IndexFailure) -> [RecordLocator] {
        try reading { (transaction) throws(IndexFailure) in
            try places(others, transaction, of: id).map { (_, locator) in locator }
        }
    }

    func drops(of ids: [RecordID]) throws(IndexFailure) -> [[DroppedPlace]] {
        try reading { (transaction) throws(IndexFailure) in
            var all: [[DroppedPlace]] = []
            all.reserveCapacity(ids.count)
            // Most stores, and most records, never had any.
            let isEmpty = try dropped.count(transaction) == 0
            for id in ids { all.append(isEmpty ? [] : try drops(transaction, of: id)) }
            return all
        }
    }

    private func drops(_ transaction: OpaquePointer?, of id: RecordID) throws(IndexFailure) -> [DroppedPlace] {
        try places(dropped, transaction, of: id).map { DroppedPlace(place: $0, note: $1) }
    }

    /// Points to a record at its place, and remembers the one before, which is `before`.
    func place(
        _ transaction: OpaquePointer?,
        _ record: IndexedRecord,
        _ before: RecordLocator?
    ) throws(IndexFailure) {
        if before != record.locator {
            if let before { try others.put(transaction, Self.key(record.id, before.place), before.words) }
            try others.remove(transaction, Self.key(record.id, record.locator.place))
        }
        try records.put(transaction, Self.key(record.id), record.locator.words)
    }

    /// Takes the places that a note names out of the index, of which `current` is the one that counted.
    func drop(
        _ transaction: OpaquePointer?,
        _ note: IndexedRecord,
        _ current: RecordLocator?
    ) throws(IndexFailure) {
        for place in note.dropped {
            try dropped.put(transaction, Self.key(note.id, place), note.locator.words)
            try others.remove(transaction, Self.key(note.id, place))
            if current?.place == place { try records.remove(transaction, Self.key(note.id)) }
        }
    }

    /// A note is somewhere else now, or nowhere.
    func moveNote(_ transaction: OpaquePointer?, _ move: IndexMove) throws(IndexFailure) {
        for entry in try drops(transaction, of: move.record.id) where entry.note == move.record.locator {
            let key = Self.key(move.record.id, entry.place)
            if let target = move.target {
                try dropped.put(transaction, key, target.words)
            } else {
                try dropped.remove(transaction, key)
            }
        }
    }

    /// Forgets a place whose segment is no more; of a note also what it named.
    func forget(_ transaction: OpaquePointer?, _ record: IndexedRecord) throws(IndexFailure) {
        let key = Self.key(record.id, record.locator.place)
        try others.remove(transaction, key)
        try dropped.remove(transaction, key)
        guard !record.dropped.isEmpty else { return }
        for entry in try drops(transaction, of: record.id) where entry.note == record.locator {
            try dropped.remove(transaction, Self.key(record.id, entry.place))
        }
    }

    private func places(
        _ table: LMDBTable,
        _ transaction: OpaquePointer?,
        of id: RecordID
    ) throws(IndexFailure) -> [(SegmentPlace, RecordLocator)] {
        var found: [(SegmentPlace, RecordLocator)] = []
        let wanted = Self.key(id)
        var start: PlaceKey = (wanted.0, wanted.1, 0, 0)
        try table.scan(transaction, from: &start) { (key: PlaceKey, value: LocatorValue) throws(IndexFailure) in
            guard key.0 == wanted.0, key.1 == wanted.1 else { return false }
            let place = SegmentPlace(
                segment: SegmentID(rawValue: UInt64(bigEndian: key.2)),
                offset: UInt64(bigEndian: key.3)
            )
            found.append((place, try Self.locator(value)))
            return true
        }
        return found
    }

    private static func key(_ id: RecordID, _ place: SegmentPlace) -> PlaceKey {
        let id = key(id)
        return (id.0, id.1, place.segment.rawValue.bigEndian, place.offset.bigEndian)
    }
}
