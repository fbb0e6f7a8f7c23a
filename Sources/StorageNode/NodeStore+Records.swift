// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
package import NIOCore
package import Placement
package import ReplicationProtocol
package import SegmentFormat
package import SegmentStore

extension NodeStore {
    // MARK: Reading

    package func head(_ id: RecordID) async throws(SegmentStoreError) -> RecordInfo? {
        try await find(id) { (store) async throws(SegmentStoreError) in try await store.head(id) }
    }

    package func open(
        _ id: RecordID,
        range: Range<UInt64>,
        limit: Int,
        isPastCache: Bool = false
    ) async throws(SegmentStoreError) -> (info: RecordInfo, bytes: ByteBuffer)? {
        try await find(id) { (store) async throws(SegmentStoreError) in
            try await store.open(id, range: range, limit: limit, isPastCache: isPastCache)
        }
    }

    /// As ``open(_:range:limit:)`` when it needs no disk; `nil` when it does, and when anything is wrong: then ask that.
    package func openInMemory(
        _ id: RecordID,
        range: Range<UInt64>,
        limit: Int
    ) -> (info: RecordInfo, bytes: ByteBuffer)? {
        guard !isUneven else { return nil }
        for disk in ranked(id) {
            if let found = disk.store.openInMemory(id, range: range, limit: limit) { return found }
        }
        return nil
    }

    /// Where records are, in their order, when that needs no disk; disks are numbered from 1 on, in the order of their ids.
    package func placesInMemory(_ ids: [RecordID]) -> [FilePlace?]? {
        guard !isUneven else { return nil }
        var places = [FilePlace?](repeating: nil, count: ids.count)
        for (number, disk) in disks.enumerated() {
            guard let found = disk.store.placesInMemory(ids) else { return nil }
            for (index, locator) in found.enumerated() where places[index] == nil {
                places[index] = locator.map { FilePlace($0, disk: UInt16(clamping: number + 1)) }
            }
        }
        return places
    }

    /// The path of a segment file that holds records, by the number that ``placesInMemory(_:)`` gives its disk.
    package func path(ofSegment segment: SegmentID, disk number: UInt16) -> String? {
        guard disks.indices.contains(Int(number) - 1) else { return nil }
        return disks[Int(number) - 1].store.path(ofSegment: segment)
    }

    package func read(
        _ id: RecordID,
        range: Range<Int>? = nil,
        isPastCache: Bool = false
    ) async throws(SegmentStoreError) -> ByteBuffer {
        let bytes = try await find(id) { (store) async throws(SegmentStoreError) in
            try await store.read(id, range: range, isPastCache: isPastCache)
        }
        guard let bytes else { throw Self.notFound(id) }
        return bytes
    }

    package func verify(_ id: RecordID) async throws(SegmentStoreError) {
        let isFound = try await find(id) { (store) async throws(SegmentStoreError) -> Bool? in
            try await store.verify(id)
            return true
        }
        guard isFound != nil else { throw Self.notFound(id) }
    }

    static func notFound(_ id: RecordID) -> SegmentStoreError {
        SegmentStoreError(.notFound, "no record with this id is known", record: id)
    }

    /// What the first disk says that knows the record and can read it; `nil` when none knows it.
    private func find<Value: Sendable>(
        _ id: RecordID,
        _ body: (SegmentStore) async throws(SegmentStoreError) -> Value?
    ) async throws(SegmentStoreError) -> Value? {
        let isUneven = isUneven
        if isUneven { try await requireNotDeleted(id) }
        var failure: SegmentStoreError?
        for disk in ranked(id) {
            do throws(SegmentStoreError) {
                if let value = try await body(disk.store) { return value }
            } catch {
                // Where all disks know the same, one that says so is enough.
                if error.code == .deleted, !isUneven { throw error }
                if error.code != .notFound { failure = failure ?? error }
            }
        }
        if let failure { throw failure }
        return nil
    }

    private func requireNotDeleted(_ id: RecordID) async throws(SegmentStoreError) {
        if try await presence(of: id).standing.isDeleted { throw Self.deleted(id) }
    }

    private static func deleted(_ id: RecordID) -> SegmentStoreError {
        SegmentStoreError(.deleted, "the record is deleted", record: id)
    }

    /// The disks that have the record's bytes, and what the disks together know to be said about it.
    func presence(of id: RecordID) async throws(SegmentStoreError) -> (holders: [Disk], standing: RecordStanding) {
        var holders: [Disk] = []
        var standing = RecordStanding()
        for disk in ranked(id) {
            let (isStored, known) = try await disk.store.presence(of: id)
            if isStored { holders.append(disk) }
            standing.isHeld = standing.isHeld || known.isHeld
            guard let decided = known.decided else { continue }
            if let before = standing.decided, before > decided { continue }
            standing.decided = decided
            standing.isDeleted = known.isDeleted
        }
        return (holders, standing)
    }

    // MARK: Listing

    package func list(
        group: PlacementGroup,
        after previous: RecordID? = nil,
        limit: Int
    ) async throws(SegmentStoreError) -> [RecordID] {
        var found: [RecordID] = []
        var after = previous
        while found.count < limit {
            let page = try await merge(limit) { (store) async throws(SegmentStoreError) in
                try await store.list(group: group, after: after, limit: limit)
            }
            let isUneven = isUneven
            for id in page where found.count < limit {
                if isUneven, try await presence(of: id).standing.isDeleted { continue }
                found.append(id)
            }
            guard page.count == limit else { return found }
            after = page.last
        }
        return found
    }

    package func listAmended(
        group: PlacementGroup,
        after previous: RecordID? = nil,
        limit: Int
    ) async throws(SegmentStoreError) -> [RecordID] {
        try await merge(limit) { (store) async throws(SegmentStoreError) in
            try await store.listAmended(group: group, after: previous, limit: limit)
        }
    }

    /// The first `limit` of all disks, each of which gives its first.
    private func merge(
        _ limit: Int,
        _ page: (SegmentStore) async throws(SegmentStoreError) -> [RecordID]
    ) async throws(SegmentStoreError) -> [RecordID] {
        guard disks.count > 1 else { return try await page(disks[0].store) }
        var all: Set<RecordID> = []
        for disk in disks { all.formUnion(try await page(disk.store)) }
        return Array(all.sorted().prefix(limit))
    }

    // MARK: Writing

    package func append(_ record: NewRecord) async throws -> AppendOutcome {
        try await withStore(for: record.id, byteCount: UInt64(record.payload.readableBytes)) { store in
            try await store.append(record)
        }
    }

    /// Runs `body` with the store that a record of this id and about this size goes to.
    ///
    /// That is the disk that has it; else the first by hash that takes writes and has room. All that are on their way
    /// with the same id at once get the same.
    package func withStore<Value: Sendable>(
        for id: RecordID,
        byteCount: UInt64,
        _ body: (SegmentStore) async throws -> Value
    ) async throws -> Value {
        guard disks.count > 1 || isUneven else { return try await body(disks[0].store) }
        // Before the look-up: whoever comes later finds the record on its disk, or this entry.
        state.withLockedValue { $0.flights[id, default: Flight()].count += 1 }
        defer {
            state.withLockedValue { state in
                state.flights[id]?.count -= 1
                if state.flights[id]?.count == 0 { state.flights[id] = nil }
            }
        }
        let (holders, standing) = try await presence(of: id)
        // What is deleted is not to come back by way of a disk that does not know.
        if standing.isDeleted { throw Self.deleted(id) }
        let wanted = holders.first ?? newPlace(for: id, byteCount: byteCount)
        let disk = state.withLockedValue { state in
            let disk = state.flights[id]?.disk ?? wanted
            state.flights[id]?.disk = disk
            return disk
        }
        return try await body(disk.store)
    }

    private func newPlace(for id: RecordID, byteCount: UInt64) -> Disk {
        let ranked = ranked(id)
        let place = ranked.first { disk in
            let status = disk.store.status
            let rest = status.freeBytes - min(status.freeBytes, byteCount)
            return status.acceptsWrites && rest > disk.store.softLimitFreeBytes
        }
        // When none takes it, the nearest one says why.
        return place ?? ranked[0]
    }
}

extension FilePlace {
    fileprivate init(_ locator: RecordLocator, disk: UInt16) {
        self.init(
            disk: disk,
            segment: locator.segment.rawValue,
            offset: locator.offset,
            payloadByteCount: locator.extent.payloadByteCount,
            metadataByteCount: locator.extent.metadataByteCount,
            recordType: locator.type.rawValue
        )
    }
}
