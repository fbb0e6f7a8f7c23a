// SPDX-License-Identifier: Apache-2.0

/// What a record is.
///
/// Unknown types are kept: a later version's records are listed and read like any other.
public struct RecordType: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8

    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// A complete Part 10 stream.
    public static let instance = RecordType(rawValue: 1)
    // 2 and 3 are reserved: docs/decisions/0018-no-chunks-and-commits.md.
    /// A delete marker (`Amendment`).
    public static let tombstone = RecordType(rawValue: 4)
    /// A fact about an instance that its pixels and elements do not hold: a hold, a correction, a retention period.
    public static let amendment = RecordType(rawValue: 5)
    /// Says that a record at another place is not kept here any more (`DropNote`); its id is that of the record.
    public static let drop = RecordType(rawValue: 6)
    /// Fills a batch up to a multiple of 4 KiB; has no id.
    public static let padding = RecordType(rawValue: 255)
}
