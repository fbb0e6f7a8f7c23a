// SPDX-License-Identifier: Apache-2.0

public import Checksums

/// The identity of a record: 16 bytes that say, most significant first, where it belongs and what it holds.
///
/// | bytes | |
/// |---|---|
/// | 2 | the study's placement group |
/// | 5 | SHA-256 of the Study Instance UID |
/// | 4 | SHA-256 of the SOP Instance UID |
/// | 5 | SHA-256 of the SOP Instance UID, a zero byte, and the SHA-256 of the payload |
///
/// So storing the same content again yields the same id, a study's records lie side by side in every node's index, and
/// those of one instance are found without a catalog (docs/decisions/0001). The group is read from the id, never
/// recomputed.
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

    /// Makes an id from its 16 bytes, most significant first; `nil` when there are fewer, or the group is out of range.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count >= Self.byteCount else { return nil }
        var words: (high: UInt64, low: UInt64) = (0, 0)
        for (index, byte) in bytes.prefix(Self.byteCount).enumerated() {
            if index < 8 {
                words.high = words.high << 8 | UInt64(byte)
            } else {
                words.low = words.low << 8 | UInt64(byte)
            }
        }
        self.init(high: words.high, low: words.low)
    }

    /// Makes an id in `group` whose other 14 bytes are the first of `digest`; `nil` when there are fewer.
    public init?(group: PlacementGroup, digest: some Collection<UInt8>) {
        guard digest.count >= Self.byteCount - 2 else { return nil }
        self.init(bytes: Self.bytes(of: group) + digest.prefix(Self.byteCount - 2))
    }

    /// The id of the record that holds an instance in the form that `payloadDigest` is the SHA-256 of.
    ///
    /// `nil` only for a digest that is none.
    public init?(studyInstanceUID: String, sopInstanceUID: String, payloadDigest: SHA256Digest) {
        var content = SHA256Hasher()
        content.update(Array(sopInstanceUID.utf8))
        content.update([0])
        content.update(payloadDigest.bytes)
        self.init(
            bytes: Self.prefix(studyInstanceUID: studyInstanceUID)
                + Self.prefix(sopInstanceUID: sopInstanceUID) + content.digest().bytes.prefix(Self.contentByteCount)
        )
    }

    /// The lowest id of the study whose record this is: the same for all of a study.
    public var firstOfStudy: RecordID { RecordID(high: high & ~0xFF, low: 0) ?? self }

    /// The ids of a study's records, or of one instance's, lie in this range; others seldom do.
    public static func range(studyInstanceUID: String, sopInstanceUID: String? = nil) -> ClosedRange<RecordID>? {
        var prefix = prefix(studyInstanceUID: studyInstanceUID)
        if let sopInstanceUID { prefix += Self.prefix(sopInstanceUID: sopInstanceUID) }
        let rest = Self.byteCount - prefix.count
        guard let lower = RecordID(bytes: prefix + [UInt8](repeating: 0, count: rest)),
            let upper = RecordID(bytes: prefix + [UInt8](repeating: 255, count: rest))
        else { return nil }
        return lower...upper
    }

    /// The id just below, in the same group; `nil` for a group's lowest.
    public var predecessor: RecordID? {
        guard low == 0 else { return RecordID(high: high, low: low - 1) }
        return high << 16 == 0 ? nil : RecordID(high: high - 1, low: .max)
    }

    private static let studyByteCount = 5
    private static let instanceByteCount = 4
    private static let contentByteCount = 5

    /// The first bytes of all ids of a study.
    private static func prefix(studyInstanceUID: String) -> [UInt8] {
        bytes(of: PlacementGroup(studyInstanceUID: studyInstanceUID)) + digest(studyInstanceUID).prefix(studyByteCount)
    }

    private static func bytes(of group: PlacementGroup) -> [UInt8] {
        [UInt8(truncatingIfNeeded: group.rawValue >> 8), UInt8(truncatingIfNeeded: group.rawValue)]
    }

    private static func prefix(sopInstanceUID: String) -> [UInt8] {
        Array(digest(sopInstanceUID).prefix(instanceByteCount))
    }

    private static func digest(_ uid: String) -> [UInt8] {
        var hasher = SHA256Hasher()
        hasher.update(Array(uid.utf8))
        return Array(hasher.digest().bytes)
    }

    /// Reads the UUID form, hyphens optional; `nil` for anything else.
    public init?(_ text: some StringProtocol) {
        guard let identifier = Identifier128(text) else { return nil }
        self.init(high: identifier.high, low: identifier.low)
    }

    /// Reads the bytes of the UUID form, hyphens optional; `nil` for anything else.
    public init?(digits: Span<UInt8>) {
        guard let identifier = Identifier128(digits: digits) else { return nil }
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
