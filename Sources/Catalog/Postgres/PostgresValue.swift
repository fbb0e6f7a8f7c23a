// SPDX-License-Identifier: Apache-2.0

import Checksums
import Placement

/// A parameter of a statement in Postgres' binary format: the type's OID and the bytes its receive function reads.
struct PostgresValue: Sendable {
    /// Built-in types (pg_type.dat); they never change.
    enum OID {
        static let bool: UInt32 = 16
        static let bytea: UInt32 = 17
        static let int8: UInt32 = 20
        static let int4: UInt32 = 23
        static let text: UInt32 = 25
        static let textArray: UInt32 = 1009
        static let int8Array: UInt32 = 1016
        static let date: UInt32 = 1082
        static let uuid: UInt32 = 2950
        static let uuidArray: UInt32 = 2951
    }

    let type: UInt32
    /// `nil` is NULL.
    let bytes: [UInt8]?

    static func text(_ value: String) -> PostgresValue { PostgresValue(type: OID.text, bytes: Array(value.utf8)) }

    static func int8(_ value: Int64) -> PostgresValue {
        PostgresValue(type: OID.int8, bytes: bigEndian(value))
    }

    static func int4(_ value: Int32) -> PostgresValue {
        PostgresValue(type: OID.int4, bytes: bigEndian(value))
    }

    /// `nil` is NULL.
    static func bytes(_ value: [UInt8]?) -> PostgresValue { PostgresValue(type: OID.bytea, bytes: value) }

    static func bool(_ value: Bool) -> PostgresValue { PostgresValue(type: OID.bool, bytes: [value ? 1 : 0]) }

    static func date(_ value: CivilDate) -> PostgresValue {
        PostgresValue(type: OID.date, bytes: bigEndian(value.postgresDays))
    }

    static func uuid(high: UInt64, low: UInt64) -> PostgresValue {
        PostgresValue(type: OID.uuid, bytes: bigEndian(high) + bigEndian(low))
    }

    static func node(_ id: NodeID) -> PostgresValue { uuid(high: id.high, low: id.low) }

    static func record(_ id: RecordID) -> PostgresValue { uuid(high: id.high, low: id.low) }

    static func texts(_ values: [String]) -> PostgresValue {
        var encoder = PostgresEncoder()
        encoder.array(of: OID.text, values) { encoder, value in encoder.text(value) }
        return PostgresValue(type: OID.textArray, bytes: encoder.bytes)
    }

    static func int8s(_ values: [Int64]) -> PostgresValue {
        var encoder = PostgresEncoder()
        encoder.array(of: OID.int8, values) { encoder, value in encoder.int8(value) }
        return PostgresValue(type: OID.int8Array, bytes: encoder.bytes)
    }

    static func nodes(_ values: [NodeID]) -> PostgresValue {
        var encoder = PostgresEncoder()
        encoder.array(of: OID.uuid, values) { encoder, value in encoder.uuid(high: value.high, low: value.low) }
        return PostgresValue(type: OID.uuidArray, bytes: encoder.bytes)
    }

    static func records(_ values: [RecordID]) -> PostgresValue {
        var encoder = PostgresEncoder()
        encoder.array(of: OID.uuid, values) { encoder, value in encoder.uuid(high: value.high, low: value.low) }
        return PostgresValue(type: OID.uuidArray, bytes: encoder.bytes)
    }

    private static func bigEndian(_ value: some FixedWidthInteger) -> [UInt8] {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }
    }
}
