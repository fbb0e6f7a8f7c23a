// SPDX-License-Identifier: Apache-2.0

/// The identity of a record: 16 bytes, of which the first two are its placement group (big endian).
///
/// The group is written into the id when the record is made and read from it ever after, never recomputed. The other
/// 14 bytes are a digest of what is stored, so that storing the same content again yields the same id.
public struct RecordID: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The number of bytes in an id.
    public static let byteCount = 16

    /// The upper 64 bits; the top 16 of them are the group.
    public let high: UInt64
    /// The lower 64 bits.
    public let low: UInt64

    /// Makes an id from its halves; `nil` when the group in it is out of range.
    public init?(high: UInt64, low: UInt64) {
        guard PlacementGroup(rawValue: UInt16(high >> 48)) != nil else { return nil }
        self.high = high
        self.low = low
    }

    /// Makes the id of a record in `group` from (at least) 14 bytes of a digest; `nil` when there are fewer.
    public init?(group: PlacementGroup, digest: some Collection<UInt8>) {
        guard digest.count >= 14 else { return nil }
        var high = UInt64(group.rawValue)
        var low: UInt64 = 0
        for (index, byte) in digest.prefix(14).enumerated() {
            if index < 6 {
                high = high << 8 | UInt64(byte)
            } else {
                low = low << 8 | UInt64(byte)
            }
        }
        self.high = high
        self.low = low
    }

    /// Reads the UUID form, hyphens optional; `nil` for anything else.
    public init?(_ text: some StringProtocol) {
        guard let identifier = Identifier128(text) else { return nil }
        self.init(high: identifier.high, low: identifier.low)
    }

    /// The placement group the record belongs to.
    public var group: PlacementGroup {
        // The initialisers admit only ids whose group is in range.
        PlacementGroup(rawValue: UInt16(high >> 48)) ?? PlacementGroup(studyInstanceUID: "")
    }

    /// The 16 bytes, most significant first.
    public var bytes: [UInt8] {
        [high, low].flatMap { word in (0..<8).map { UInt8(truncatingIfNeeded: word >> UInt64(56 - 8 * $0)) } }
    }

    /// The lowercase UUID form.
    public var description: String { Identifier128(high: high, low: low).text }

    public static func < (left: Self, right: Self) -> Bool { (left.high, left.low) < (right.high, right.low) }
}
