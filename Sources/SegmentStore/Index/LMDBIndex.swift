// SPDX-License-Identifier: Apache-2.0

import CLMDB
import Glibc
import NIOConcurrencyHelpers
import Placement
import SegmentFormat

/// The index from record id to place, in LMDB: a cache that a scan of the segments rebuilds.
///
/// Nothing is synced while the store runs. A crash of the process leaves it consistent (the page cache lives on); a
/// crash of the machine may not, so it is then thrown away. One thread writes; any thread reads. No other file of
/// this target touches LMDB.
// Safety: an LMDB environment is made to be shared by threads, and its transactions are not tied to them (MDB_NOTLS);
// `environment` changes only in `close`, which runs after all threads have ended.
final class LMDBIndex: RecordIndex, @unchecked Sendable {
    private var environment: OpaquePointer?
    private let records: MDB_dbi
    private let states: MDB_dbi

    /// Changed whenever the meaning of keys or values changes: an index of another version is rebuilt.
    private static let version: UInt64 = 1
    private static let identityKey = StateKey(kind: 0, number: 0)

    private struct StateKey {
        var kind: UInt64
        var number: UInt64
    }

    /// Opens the index in `directory`, or makes an empty one; fails when it belongs to another store or is damaged.
    init(directory: String, mapByteCount: Int, identity: (UInt64, UInt64, UInt64, UInt64)) throws(IndexFailure) {
        var environment: OpaquePointer?
        try Self.check(mdb_env_create(&environment), "create")
        guard let environment else { throw IndexFailure("create", number: EINVAL) }
        var isOpen = false
        defer { if !isOpen { mdb_env_close(environment) } }
        try Self.check(mdb_env_set_mapsize(environment, mapByteCount), "set map size")
        try Self.check(mdb_env_set_maxdbs(environment, 2), "set databases")
        try Self.check(mdb_env_set_maxreaders(environment, 512), "set readers")
        let flags = UInt32(MDB_NOSYNC) | UInt32(MDB_NOTLS) | UInt32(MDB_NORDAHEAD)
        try Self.check(mdb_env_open(environment, directory, flags, 0o640), "open")
        var dead: CInt = 0
        try Self.check(mdb_reader_check(environment, &dead), "check readers")

        var transaction: OpaquePointer?
        try Self.check(mdb_txn_begin(environment, nil, 0, &transaction), "begin")
        var isCommitted = false
        defer { if !isCommitted { mdb_txn_abort(transaction) } }
        var records = MDB_dbi()
        var states = MDB_dbi()
        try Self.check(mdb_dbi_open(transaction, "records", UInt32(MDB_CREATE), &records), "open database")
        try Self.check(mdb_dbi_open(transaction, "states", UInt32(MDB_CREATE), &states), "open database")
        let wanted = (identity.0 ^ Self.version, identity.1, identity.2, identity.3)
        if let found = try Self.state(transaction, states, Self.identityKey) {
            guard found == wanted else { throw IndexFailure("open another store's index", number: EINVAL) }
        } else {
            try Self.setState(transaction, states, Self.identityKey, wanted)
        }
        isCommitted = true
        try Self.check(mdb_txn_commit(transaction), "commit")
        self.environment = environment
        self.records = records
        self.states = states
        isOpen = true
    }

    /// Ends all use; no other call may be running or follow.
    func close() {
        if let environment { mdb_env_close(environment) }
        environment = nil
    }

    /// Writes everything to the disk.
    func sync() throws(IndexFailure) {
        try Self.check(mdb_env_sync(environment, 1), "sync")
    }

    // MARK: Records

    /// The number of records.
    func count() throws(IndexFailure) -> Int {
        try reading { (transaction) throws(IndexFailure) in
            var statistics = MDB_stat()
            try Self.check(mdb_stat(transaction, records, &statistics), "stat")
            return Int(clamping: statistics.ms_entries)
        }
    }

    /// Where the records of `ids` are, each `nil` when unknown.
    func locators(of ids: [RecordID]) throws(IndexFailure) -> [RecordLocator?] {
        try reading { (transaction) throws(IndexFailure) in
            var locators: [RecordLocator?] = []
            locators.reserveCapacity(ids.count)
            for id in ids { locators.append(try self.locator(transaction, id)) }
            return locators
        }
    }

    /// Notes where records are, and that all records of `segment` before `end` are known now.
    func insert(
        _ entries: [(id: RecordID, locator: RecordLocator)],
        segment: SegmentID,
        indexedUpTo end: UInt64
    ) throws(IndexFailure) {
        var transaction: OpaquePointer?
        try Self.check(mdb_txn_begin(environment, nil, 0, &transaction), "begin")
        var isCommitted = false
        defer { if !isCommitted { mdb_txn_abort(transaction) } }
        for entry in entries {
            var words = entry.locator.words
            try Self.put(transaction, records, Self.key(entry.id), &words)
        }
        try Self.setState(transaction, states, StateKey(kind: 1, number: segment.rawValue), (end, 0, 0, 0))
        // A failed commit frees the transaction too.
        isCommitted = true
        try Self.check(mdb_txn_commit(transaction), "commit")
    }

    /// Up to where the records of `segment` are known.
    func indexedEnd(of segment: SegmentID) throws(IndexFailure) -> UInt64? {
        try reading { (transaction) throws(IndexFailure) in
            try Self.state(transaction, states, StateKey(kind: 1, number: segment.rawValue))?.0
        }
    }

    /// At most `limit` ids of `group` in order, after `previous`.
    func list(group: PlacementGroup, after previous: RecordID?, limit: Int) throws(IndexFailure) -> [RecordID] {
        try reading { (transaction) throws(IndexFailure) in
            var cursor: OpaquePointer?
            try Self.check(mdb_cursor_open(transaction, records, &cursor), "open cursor")
            defer { mdb_cursor_close(cursor) }
            var ids: [RecordID] = []
            var start = ((UInt64(group.rawValue) << 48).bigEndian, UInt64(0))
            if let previous, previous.group >= group { start = Self.key(previous) }
            var operation = MDB_SET_RANGE
            while ids.count < limit {
                let found: (id: RecordID?, isEnd: Bool) = try withUnsafeMutableBytes(of: &start) {
                    bytes throws(IndexFailure) in
                    var key = MDB_val(mv_size: bytes.count, mv_data: bytes.baseAddress)
                    var value = MDB_val()
                    let number = mdb_cursor_get(cursor, &key, &value, operation)
                    if number == MDB_NOTFOUND { return (nil, true) }
                    try Self.check(number, "scan")
                    return (Self.recordID(key), false)
                }
                operation = MDB_NEXT
                guard !found.isEnd, let id = found.id, id.group == group else { break }
                if let previous, id <= previous { continue }
                ids.append(id)
            }
            return ids
        }
    }

    // MARK: LMDB

    private func reading<Value>(_ body: (OpaquePointer?) throws(IndexFailure) -> Value) throws(IndexFailure) -> Value {
        var transaction: OpaquePointer?
        try Self.check(mdb_txn_begin(environment, nil, UInt32(MDB_RDONLY), &transaction), "begin")
        defer { mdb_txn_abort(transaction) }
        return try body(transaction)
    }

    private func locator(_ transaction: OpaquePointer?, _ id: RecordID) throws(IndexFailure) -> RecordLocator? {
        guard let words = try Self.get(transaction, records, Self.key(id)) else { return nil }
        guard let locator = RecordLocator(words: words) else { throw IndexFailure("read", number: MDB_CORRUPTED) }
        return locator
    }

    private static func key(_ id: RecordID) -> (UInt64, UInt64) { (id.high.bigEndian, id.low.bigEndian) }

    private static func recordID(_ key: MDB_val) -> RecordID? {
        guard key.mv_size == RecordID.byteCount, let data = key.mv_data else { return nil }
        return RecordID(
            high: UInt64(bigEndian: data.loadUnaligned(as: UInt64.self)),
            low: UInt64(bigEndian: data.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
        )
    }

    private static func state(
        _ transaction: OpaquePointer?,
        _ database: MDB_dbi,
        _ key: StateKey
    ) throws(IndexFailure) -> (UInt64, UInt64, UInt64, UInt64)? {
        try get(transaction, database, (key.kind.bigEndian, key.number.bigEndian))
    }

    private static func setState(
        _ transaction: OpaquePointer?,
        _ database: MDB_dbi,
        _ key: StateKey,
        _ value: (UInt64, UInt64, UInt64, UInt64)
    ) throws(IndexFailure) {
        var value = value
        try put(transaction, database, (key.kind.bigEndian, key.number.bigEndian), &value)
    }

    private static func get(
        _ transaction: OpaquePointer?,
        _ database: MDB_dbi,
        _ key: (UInt64, UInt64)
    ) throws(IndexFailure) -> (UInt64, UInt64, UInt64, UInt64)? {
        var key = key
        return try withUnsafeMutableBytes(of: &key) { (bytes) throws(IndexFailure) in
            var key = MDB_val(mv_size: bytes.count, mv_data: bytes.baseAddress)
            var value = MDB_val()
            let number = mdb_get(transaction, database, &key, &value)
            if number == MDB_NOTFOUND { return nil }
            try check(number, "get")
            guard value.mv_size == RecordLocator.byteCount, let data = value.mv_data else {
                throw IndexFailure("get", number: MDB_CORRUPTED)
            }
            func word(_ index: Int) -> UInt64 { data.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self) }
            return (word(0), word(1), word(2), word(3))
        }
    }

    private static func put(
        _ transaction: OpaquePointer?,
        _ database: MDB_dbi,
        _ key: (UInt64, UInt64),
        _ value: inout (UInt64, UInt64, UInt64, UInt64)
    ) throws(IndexFailure) {
        var key = key
        try withUnsafeMutableBytes(of: &key) { (keyBytes) throws(IndexFailure) in
            try withUnsafeMutableBytes(of: &value) { (valueBytes) throws(IndexFailure) in
                var key = MDB_val(mv_size: keyBytes.count, mv_data: keyBytes.baseAddress)
                var value = MDB_val(mv_size: valueBytes.count, mv_data: valueBytes.baseAddress)
                try check(mdb_put(transaction, database, &key, &value, 0), "put")
            }
        }
    }

    private static func check(_ number: CInt, _ operation: String) throws(IndexFailure) {
        guard number == 0 else { throw IndexFailure(operation, number: number) }
    }
}
