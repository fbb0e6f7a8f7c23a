// SPDX-License-Identifier: Apache-2.0

import CPostgres
import Checksums
import Placement

/// The rows of one answer, in Postgres' binary format; with `PostgresConnection`, all of the program that sees libpq.
///
/// Columns are read by position as what the statement selects. A value that is not of that shape reads as `nil` or
/// empty, never traps: the database is outside.
final class PostgresResult {
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) {
        self.handle = handle
    }

    deinit {
        PQclear(handle)
    }

    var rowCount: Int { Int(PQntuples(handle)) }

    /// Rows changed by an INSERT, UPDATE or DELETE.
    var changedRowCount: Int { Int(String(cString: PQcmdTuples(handle))) ?? 0 }

    var rows: some Sequence<Row> {
        (0..<Int32(rowCount)).lazy.map { Row(result: self, row: $0) }
    }

    /// The only row's, or the first.
    var first: Row? { rowCount > 0 ? Row(result: self, row: 0) : nil }

    /// What the server reported instead of rows.
    var failure: PostgresFailure? {
        switch PQresultStatus(handle) {
        case PGRES_TUPLES_OK, PGRES_COMMAND_OK, PGRES_EMPTY_QUERY, PGRES_NONFATAL_ERROR: return nil
        case PGRES_FATAL_ERROR: break
        default: return PostgresFailure(kind: .unexpected, message: "Postgres began a copy that nobody asked for")
        }
        // PG_DIAG_SQLSTATE and PG_DIAG_SEVERITY_NONLOCALIZED
        guard let state = field("C") else {
            // libpq's own report of a lost connection.
            return PostgresFailure(kind: .broken(sent: true), message: "the connection to Postgres broke")
        }
        let sqlState = SQLState(code: state)
        let isFatal = field("V").map { $0 == "FATAL" || $0 == "PANIC" } ?? false
        // The server's wording may quote values, so only names of its own objects are passed on.
        let place = [("t", "table"), ("c", "column"), ("n", "constraint")]
            .compactMap { letter, name in field(letter).map { "\(name) \($0)" } }
        var words = ["Postgres refused a statement"] + place
        // Class 42, errors in the statement itself, quotes the statement only.
        if state.hasPrefix("42"), let primary = field("M") { words.append(primary) }
        let kind: PostgresFailure.Kind =
            isFatal || sqlState.isUnavailable ? .serverGone(sqlState) : .refused(sqlState)
        return PostgresFailure(kind: kind, message: words.joined(separator: ", "))
    }

    private func field(_ code: Unicode.Scalar) -> String? {
        guard let text = PQresultErrorField(handle, Int32(code.value)) else { return nil }
        return String(cString: text)
    }

    /// The bytes of a value; `nil` for NULL.
    fileprivate func bytes(row: Int32, column: Int32) -> UnsafeRawBufferPointer? {
        guard column < PQnfields(handle), PQgetisnull(handle, row, column) == 0,
            let value = PQgetvalue(handle, row, column)
        else { return nil }
        return UnsafeRawBufferPointer(start: value, count: Int(PQgetlength(handle, row, column)))
    }

    /// One row of the answer.
    struct Row {
        fileprivate let result: PostgresResult
        fileprivate let row: Int32

        func isNull(_ column: Int) -> Bool { read(column) { _ in true } == nil }

        func text(_ column: Int) -> String {
            read(column) { String(decoding: $0, as: UTF8.self) } ?? ""
        }

        func int(_ column: Int) -> Int? {
            read(column) { Self.integer($0) } ?? nil
        }

        func bool(_ column: Int) -> Bool {
            read(column) { $0.first == 1 } ?? false
        }

        func date(_ column: Int) -> CivilDate? {
            int(column).flatMap { Int32(exactly: $0) }.flatMap { CivilDate(postgresDays: $0) }
        }

        /// `nil` for NULL.
        func bytes(_ column: Int) -> [UInt8]? { read(column) { Array($0) } }

        func digest(_ column: Int) -> SHA256Digest? {
            read(column) { SHA256Digest($0) } ?? nil
        }

        func recordID(_ column: Int) -> RecordID? {
            read(column) { Self.uuid($0).flatMap { RecordID(high: $0.high, low: $0.low) } } ?? nil
        }

        func nodeID(_ column: Int) -> NodeID? {
            read(column) { Self.uuid($0).map { NodeID(high: $0.high, low: $0.low) } } ?? nil
        }

        func clusterID(_ column: Int) -> ClusterID? {
            read(column) { Self.uuid($0).map { ClusterID(high: $0.high, low: $0.low) } } ?? nil
        }

        func texts(_ column: Int) -> [String] {
            elements(column) { String(decoding: $0, as: UTF8.self) }
        }

        func ints(_ column: Int) -> [Int] {
            elements(column) { Self.integer($0) }
        }

        func nodeIDs(_ column: Int) -> [NodeID] {
            elements(column) { Self.uuid($0).map { NodeID(high: $0.high, low: $0.low) } }
        }

        func recordIDs(_ column: Int) -> [RecordID] {
            elements(column) { Self.uuid($0).flatMap { RecordID(high: $0.high, low: $0.low) } }
        }

        /// The elements of an array that are not NULL.
        private func elements<Element>(_ column: Int, _ decode: (UnsafeRawBufferPointer) -> Element?) -> [Element] {
            read(column) { bytes in
                var offset = 0
                func next() -> Int32? {
                    guard bytes.count - offset >= 4 else { return nil }
                    defer { offset += 4 }
                    return Int32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Int32.self))
                }
                guard next() == 1, next() != nil, next() != nil, let count = next(), next() != nil else { return [] }
                var elements: [Element] = []
                for _ in 0..<max(0, count) {
                    guard let byteCount = next() else { break }
                    guard byteCount >= 0 else { continue }
                    guard bytes.count - offset >= Int(byteCount) else { break }
                    let slice = UnsafeRawBufferPointer(rebasing: bytes[offset..<offset + Int(byteCount)])
                    if let element = decode(slice) { elements.append(element) }
                    offset += Int(byteCount)
                }
                return elements
            } ?? []
        }

        private func read<Value>(_ column: Int, _ body: (UnsafeRawBufferPointer) -> Value) -> Value? {
            // `result` keeps the memory alive while `body` runs.
            withExtendedLifetime(result) { result.bytes(row: row, column: Int32(column)).map(body) }
        }

        /// An int2, int4 or int8.
        private static func integer(_ bytes: UnsafeRawBufferPointer) -> Int? {
            switch bytes.count {
            case 2: Int(Int16(bigEndian: bytes.loadUnaligned(as: Int16.self)))
            case 4: Int(Int32(bigEndian: bytes.loadUnaligned(as: Int32.self)))
            case 8: Int(Int64(bigEndian: bytes.loadUnaligned(as: Int64.self)))
            default: nil
            }
        }

        private static func uuid(_ bytes: UnsafeRawBufferPointer) -> (high: UInt64, low: UInt64)? {
            guard bytes.count == 16 else { return nil }
            return (
                UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self)),
                UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
            )
        }
    }
}
