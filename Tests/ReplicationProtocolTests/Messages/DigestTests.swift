// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement
import ReplicationProtocol
import Testing

/// Comparing what two nodes have.
struct DigestTests {
    private static func digest(_ number: UInt64) -> SHA256Digest {
        SHA256Hasher.digest(of: ByteBuffer(integer: number))
    }

    private static func parts(_ ids: some Sequence<RecordID>, _ request: DigestRequest) -> [DigestPart] {
        var accumulator = DigestAccumulator(request)
        for id in ids.sorted() { accumulator.add(id, payloadDigest: digest(id.low)) }
        return accumulator.finish()
    }

    @Test func theDigestIsThatOfIdsAndDigests() {
        let ids = [Samples.record(1), Samples.record(2)]
        let request = Samples.digest(prefix: ids[0], bits: 16, split: 0)
        let expected = ids.flatMap { $0.bytes + Self.digest($0.low).bytes }
        #expect(
            Self.parts(ids, request)
                == [DigestPart(recordCount: 2, digest: SHA256Hasher.digest(of: ByteBuffer(bytes: expected)))]
        )
    }

    @Test func nothingHasTheDigestOfNoBytes() {
        let request = Samples.digest(prefix: Samples.record(0), bits: 16, split: 1)
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        let parts = Self.parts([], request)
        #expect(parts.map(\.recordCount) == [0, 0])
        #expect(parts.map(\.digest.description) == [empty, empty])
    }

    @Test func aRecordThatCannotBeReadMakesADifference() {
        let request = Samples.digest(prefix: Samples.record(0), bits: 16, split: 0)
        var accumulator = DigestAccumulator(request)
        accumulator.add(Samples.record(1), payloadDigest: nil)
        let parts = accumulator.finish()
        #expect(parts.map(\.recordCount) == [1])
        #expect(parts != Self.parts([Samples.record(1)], request))
    }

    @Test func idsOutsideThePrefixAreLeftOut() {
        let request = Samples.digest(prefix: Samples.record(1 << 62), bits: 66, split: 0)
        let inside = [Samples.record(1 << 62), Samples.record(1 << 62 | 7)]
        #expect(
            Self.parts(inside + [Samples.record(1), Samples.record(3 << 62)], request) == Self.parts(inside, request)
        )
    }

    @Test func partsAreTheBitsThatFollow() throws {
        let seed = Seed.value
        var random = SplitMix(seed: seed)
        for _ in 0..<2000 {
            let bits = Int.random(in: 16...128, using: &random)
            let split = Int.random(in: 0...min(8, 128 - bits), using: &random)
            let high = UInt64.random(in: 0...(1024 << 48 - 1), using: &random)
            let id = try #require(RecordID(high: high, low: random.next()))
            let request = try #require(DigestRequest(prefix: id, prefixBitCount: bits, splitBitCount: split))
            let text = id.bytes.map { byte in
                let digits = String(byte, radix: 2)
                return String(repeating: "0", count: 8 - digits.count) + digits
            }.joined()
            let expected = split == 0 ? 0 : Int(text.dropFirst(bits).prefix(split), radix: 2)
            #expect(request.part(of: id) == expected, "VARVE_SEED=\(seed) \(bits) \(split) \(id)")
            let prefix = request.prefix.bytes.map { byte in
                let digits = String(byte, radix: 2)
                return String(repeating: "0", count: 8 - digits.count) + digits
            }.joined()
            #expect(prefix == text.prefix(bits) + String(repeating: "0", count: 128 - bits), "VARVE_SEED=\(seed)")
        }
    }

    /// Two nodes that differ in one of 5000 records find it in three rounds.
    @Test func aDifferenceIsFoundByNarrowing() throws {
        let seed = Seed.value
        var random = SplitMix(seed: seed)
        let ids = (0..<5000).map { _ in Self.randomID(&random) }
        let missing = try #require(ids.randomElement(using: &random))
        let ours = Set(ids)
        let theirs = ours.subtracting([missing])
        var prefix = missing
        var bits = 16
        var rounds = 0
        while true {
            let request = try #require(DigestRequest(prefix: prefix, prefixBitCount: bits, splitBitCount: 8))
            let (here, there) = (Self.parts(ours, request), Self.parts(theirs, request))
            rounds += 1
            let different = here.indices.filter { here[$0] != there[$0] }
            #expect(different == [request.part(of: missing)], "VARVE_SEED=\(seed)")
            guard let part = different.first, here[part].recordCount > 1 else { break }
            bits += 8
            prefix = missing
        }
        #expect(rounds <= 4, "VARVE_SEED=\(seed)")
    }

    private static func randomID(_ random: inout SplitMix) -> RecordID {
        RecordID(high: 0x03ff << 48 | random.next() >> 16, low: random.next()) ?? Samples.record(random.next())
    }

    @Test(arguments: [(15, 0), (129, 0), (16, 9), (16, -1), (128, 1), (121, 8)])
    func numbersOutOfRangeAreNoRequest(bits: Int, split: Int) {
        #expect(DigestRequest(prefix: Samples.record(0), prefixBitCount: bits, splitBitCount: split) == nil)
    }
}
