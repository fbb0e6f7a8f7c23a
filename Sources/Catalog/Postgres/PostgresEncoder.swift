// SPDX-License-Identifier: Apache-2.0

import Checksums

/// Writes arrays and rows in Postgres' binary format.
///
/// Every field or element is its byte count (Int32, -1 for NULL) and its bytes; a row is its number of columns and,
/// for each, the type's OID before the field; an array is a header of five Int32 and its elements. All big endian
/// (`array_recv` and `record_recv` in Postgres' source).
struct PostgresEncoder {
    private(set) var bytes: [UInt8] = []

    /// Appends a one-dimensional array.
    mutating func array<Element>(
        of elementType: UInt32,
        _ elements: [Element],
        _ encode: (inout PostgresEncoder, Element) -> Void
    ) {
        guard !elements.isEmpty else {
            integer(Int32(0))  // dimensions
            integer(Int32(0))  // has no NULL
            integer(elementType)
            return
        }
        integer(Int32(1))
        integer(Int32(1))  // may have NULL: a hint only
        integer(elementType)
        integer(Int32(truncatingIfNeeded: elements.count))
        integer(Int32(1))  // lower bound
        for element in elements { encode(&self, element) }
    }

    /// Appends a field that is a row of `columnCount` columns, each written by a `column` function.
    mutating func row(columnCount: Int, _ encode: (inout PostgresEncoder) -> Void) {
        let start = bytes.count
        integer(Int32(0))
        integer(Int32(truncatingIfNeeded: columnCount))
        encode(&self)
        let count = UInt32(truncatingIfNeeded: bytes.count - start - 4)
        for index in 0..<4 { bytes[start + index] = UInt8(truncatingIfNeeded: count >> UInt32(24 - 8 * index)) }
    }

    // MARK: fields

    mutating func text(_ value: String) {
        var value = value
        value.withUTF8 { utf8 in
            integer(Int32(truncatingIfNeeded: utf8.count))
            bytes.append(contentsOf: utf8)
        }
    }

    mutating func int8(_ value: Int64) {
        integer(Int32(8))
        integer(value)
    }

    mutating func uuid(high: UInt64, low: UInt64) {
        integer(Int32(16))
        integer(high)
        integer(low)
    }

    // MARK: columns

    mutating func column(_ value: String) {
        integer(PostgresValue.OID.text)
        text(value)
    }

    mutating func column(_ value: Int64) {
        integer(PostgresValue.OID.int8)
        int8(value)
    }

    mutating func column(_ value: Int32?) {
        integer(PostgresValue.OID.int4)
        optionalInteger(value)
    }

    mutating func column(_ value: CivilDate?) {
        integer(PostgresValue.OID.date)
        optionalInteger(value?.postgresDays)
    }

    mutating func column(uuidHigh high: UInt64, low: UInt64) {
        integer(PostgresValue.OID.uuid)
        uuid(high: high, low: low)
    }

    mutating func column(_ value: SHA256Digest?) {
        integer(PostgresValue.OID.bytea)
        guard let value else {
            integer(Int32(-1))
            return
        }
        integer(Int32(SHA256Digest.byteCount))
        integer(value.words.0)
        integer(value.words.1)
        integer(value.words.2)
        integer(value.words.3)
    }

    private mutating func optionalInteger(_ value: Int32?) {
        guard let value else {
            integer(Int32(-1))
            return
        }
        integer(Int32(4))
        integer(value)
    }

    private mutating func integer(_ value: some FixedWidthInteger) {
        withUnsafeBytes(of: value.bigEndian) { bytes.append(contentsOf: $0) }
    }
}
