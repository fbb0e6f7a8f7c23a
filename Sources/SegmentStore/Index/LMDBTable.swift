// SPDX-License-Identifier: Apache-2.0

import CLMDB
import Glibc

/// One database of an LMDB environment, whose keys and values are plain integers side by side.
///
/// Beside `LMDBIndex`, no other file touches LMDB.
struct LMDBTable: Sendable {
    private let database: MDB_dbi

    /// Opens the database of this name, or makes it.
    init(_ name: String, _ transaction: OpaquePointer?) throws(IndexFailure) {
        var database = MDB_dbi()
        try Self.check(mdb_dbi_open(transaction, name, UInt32(MDB_CREATE), &database), "open database")
        self.database = database
    }

    func count(_ transaction: OpaquePointer?) throws(IndexFailure) -> Int {
        var statistics = MDB_stat()
        try Self.check(mdb_stat(transaction, database, &statistics), "stat")
        return Int(clamping: statistics.ms_entries)
    }

    func has(_ transaction: OpaquePointer?, _ key: some BitwiseCopyable) throws(IndexFailure) -> Bool {
        var key = key
        return try withUnsafeMutableBytes(of: &key) { (bytes) throws(IndexFailure) in
            var key = MDB_val(mv_size: bytes.count, mv_data: bytes.baseAddress)
            var value = MDB_val()
            let number = mdb_get(transaction, database, &key, &value)
            if number == MDB_NOTFOUND { return false }
            try Self.check(number, "get")
            return true
        }
    }

    func get<Value: BitwiseCopyable>(
        _ transaction: OpaquePointer?,
        _ key: some BitwiseCopyable,
        as type: Value.Type
    ) throws(IndexFailure) -> Value? {
        var key = key
        return try withUnsafeMutableBytes(of: &key) { (bytes) throws(IndexFailure) in
            var key = MDB_val(mv_size: bytes.count, mv_data: bytes.baseAddress)
            var value = MDB_val()
            let number = mdb_get(transaction, database, &key, &value)
            if number == MDB_NOTFOUND { return nil }
            try Self.check(number, "get")
            // Named, or an optional would be read.
            let found: Value = try Self.load(value)
            return found
        }
    }

    func put(
        _ transaction: OpaquePointer?,
        _ key: some BitwiseCopyable,
        _ value: some BitwiseCopyable
    ) throws(IndexFailure) {
        var key = key
        var value = value
        try withUnsafeMutableBytes(of: &key) { (keyBytes) throws(IndexFailure) in
            try withUnsafeMutableBytes(of: &value) { (valueBytes) throws(IndexFailure) in
                var key = MDB_val(mv_size: keyBytes.count, mv_data: keyBytes.baseAddress)
                var value = MDB_val(mv_size: valueBytes.count, mv_data: valueBytes.baseAddress)
                try Self.check(mdb_put(transaction, database, &key, &value, 0), "put")
            }
        }
    }

    /// Removes an entry, if it is there.
    func remove(_ transaction: OpaquePointer?, _ key: some BitwiseCopyable) throws(IndexFailure) {
        var key = key
        try withUnsafeMutableBytes(of: &key) { (bytes) throws(IndexFailure) in
            var key = MDB_val(mv_size: bytes.count, mv_data: bytes.baseAddress)
            let number = mdb_del(transaction, database, &key, nil)
            if number != MDB_NOTFOUND { try Self.check(number, "delete") }
        }
    }

    /// Hands every entry from `start` on to `body`, in order, until it returns false.
    func scan<Key: BitwiseCopyable, Value: BitwiseCopyable>(
        _ transaction: OpaquePointer?,
        from start: inout Key,
        _ body: (Key, Value) throws(IndexFailure) -> Bool
    ) throws(IndexFailure) {
        try scanRaw(transaction, from: &start) { (key, value) throws(IndexFailure) in
            try body(try Self.load(key), try Self.load(value))
        }
    }

    /// Hands every key from `start` on to `body`, in order, until it returns false.
    func scanKeys<Key: BitwiseCopyable>(
        _ transaction: OpaquePointer?,
        from start: inout Key,
        _ body: (Key) throws(IndexFailure) -> Bool
    ) throws(IndexFailure) {
        try scanRaw(transaction, from: &start) { (key, _) throws(IndexFailure) in try body(try Self.load(key)) }
    }

    private func scanRaw<Key: BitwiseCopyable>(
        _ transaction: OpaquePointer?,
        from start: inout Key,
        _ body: (MDB_val, MDB_val) throws(IndexFailure) -> Bool
    ) throws(IndexFailure) {
        var cursor: OpaquePointer?
        try Self.check(mdb_cursor_open(transaction, database, &cursor), "open cursor")
        defer { mdb_cursor_close(cursor) }
        try withUnsafeMutableBytes(of: &start) { (bytes) throws(IndexFailure) in
            var key = MDB_val(mv_size: bytes.count, mv_data: bytes.baseAddress)
            var value = MDB_val()
            var operation = MDB_SET_RANGE
            while true {
                let number = mdb_cursor_get(cursor, &key, &value, operation)
                if number == MDB_NOTFOUND { return }
                try Self.check(number, "scan")
                guard try body(key, value) else { return }
                operation = MDB_NEXT
            }
        }
    }

    private static func load<Value: BitwiseCopyable>(_ bytes: MDB_val) throws(IndexFailure) -> Value {
        guard bytes.mv_size == MemoryLayout<Value>.size, let data = bytes.mv_data else {
            throw IndexFailure("read", number: MDB_CORRUPTED)
        }
        return data.loadUnaligned(as: Value.self)
    }

    static func check(_ number: CInt, _ operation: String) throws(IndexFailure) {
        guard number == 0 else { throw IndexFailure(operation, number: number) }
    }
}
