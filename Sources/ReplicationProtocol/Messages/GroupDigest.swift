// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import Placement

/// DIGEST: asks for counts and digests of the records whose ids begin with certain bits, by which two nodes compare what
/// they have.
public struct DigestRequest: Hashable, Sendable {
    /// The most bits by which an answer is split.
    public static let maximumSplitBitCount = 8

    /// The bits that the ids begin with; the rest of it is 0.
    public let prefix: RecordID
    /// How many of them count: 16 (a whole group) to 128 (one record).
    public let prefixBitCount: Int
    /// The answer is split by the values of so many of the bits that follow, 0 to ``maximumSplitBitCount``.
    public let splitBitCount: Int
    public var timeoutMilliseconds: UInt32

    /// Asks about ids that begin with the first bits of `prefix`; `nil` when the numbers of bits are out of range.
    public init?(prefix: RecordID, prefixBitCount: Int, splitBitCount: Int, timeoutMilliseconds: UInt32 = 0) {
        guard (16...128).contains(prefixBitCount), (0...Self.maximumSplitBitCount).contains(splitBitCount),
            prefixBitCount + splitBitCount <= 128,
            let prefix = prefix.masked(toBitCount: prefixBitCount)
        else { return nil }
        self.prefix = prefix
        self.prefixBitCount = prefixBitCount
        self.splitBitCount = splitBitCount
        self.timeoutMilliseconds = timeoutMilliseconds
    }

    /// The number of parts in the answer.
    public var partCount: Int { 1 << splitBitCount }

    /// The part of the answer that `id` belongs to; `nil` when it does not begin with the prefix.
    public func part(of id: RecordID) -> Int? {
        guard id.masked(toBitCount: prefixBitCount) == prefix else { return nil }
        guard splitBitCount > 0 else { return 0 }
        let end = prefixBitCount + splitBitCount
        let mask = UInt64(partCount - 1)
        // The bits prefixBitCount ..< end of the id, most significant bit first.
        if end <= 64 { return Int(id.high >> UInt64(64 - end) & mask) }
        let low = id.low >> UInt64(128 - end)
        let high = end - 64 < splitBitCount ? id.high << UInt64(end - 64) : 0
        return Int((high | low) & mask)
    }
}

/// One part of DIGEST-RESULT: how many records there are, and a digest of what they are.
public struct DigestPart: Hashable, Sendable {
    static let byteCount = 40

    public var recordCount: UInt64
    public var digest: SHA256Digest

    public init(recordCount: UInt64, digest: SHA256Digest) {
        self.recordCount = recordCount
        self.digest = digest
    }
}

/// Makes the parts of a DIGEST-RESULT from records that come in ascending order of their ids.
public struct DigestAccumulator {
    private let request: DigestRequest
    private var parts: [DigestPart] = []
    private var hasher = SHA256Hasher()
    private var recordCount: UInt64 = 0

    public init(_ request: DigestRequest) {
        self.request = request
    }

    /// The next record; `nil` for the digest of one whose payload's digest the node cannot tell, which counts as zeros.
    ///
    /// Records outside the prefix are left out.
    public mutating func add(_ id: RecordID, payloadDigest: SHA256Digest?) {
        guard let part = request.part(of: id) else { return }
        precondition(part >= parts.count, "records come in ascending order")
        while parts.count < part { finishPart() }
        recordCount += 1
        hasher.update(id.bytes)
        hasher.update((payloadDigest ?? SHA256Digest(words: (0, 0, 0, 0))).bytes)
    }

    /// The parts, in order.
    public consuming func finish() -> [DigestPart] {
        while parts.count < request.partCount { finishPart() }
        return parts
    }

    private mutating func finishPart() {
        parts.append(DigestPart(recordCount: recordCount, digest: hasher.digest()))
        hasher = SHA256Hasher()
        recordCount = 0
    }
}

extension RecordID {
    /// The id with all but its first bits set to 0; `nil` when that is not an id.
    func masked(toBitCount bitCount: Int) -> RecordID? {
        let highMask: UInt64 = bitCount >= 64 ? .max : ~(UInt64.max >> UInt64(bitCount))
        let lowMask: UInt64 = bitCount <= 64 ? 0 : bitCount >= 128 ? .max : ~(UInt64.max >> UInt64(bitCount - 64))
        return RecordID(high: high & highMask, low: low & lowMask)
    }
}
