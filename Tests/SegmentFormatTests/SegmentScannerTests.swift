// SPDX-License-Identifier: Apache-2.0

import NIOCore
import SegmentFormat
import Testing

@Suite struct SegmentScannerTests {
    /// Three batches of two, one and three records, the payloads around the checksum block's size.
    private static func segment() throws -> SegmentBuilder {
        var builder = SegmentBuilder()
        try builder.appendBatch([Fixture.image(1, payload: 1000), Fixture.image(2, payload: 65536)])
        try builder.appendBatch([Fixture.image(3, payload: 65537)])
        try builder.appendBatch([
            Fixture.image(4, payload: 0, metadata: 0), Fixture.image(5, payload: 150_000),
            Fixture.image(6, payload: 12),
        ])
        return builder
    }

    @Test(arguments: [8192, 65536, 1 << 20], [true, false])
    func findsEveryRecordOfAnUnsealedSegment(windowByteCount: Int, skipsHoles: Bool) throws {
        var builder = try Self.segment()
        let end = builder.bytes.count
        builder.appendZeros(300_000)
        let (records, result) = scan(builder.bytes, windowByteCount: windowByteCount, skipsHoles: skipsHoles)
        #expect(records.map(\.offset) == builder.entries.map(\.offset))
        #expect(records.map(\.id) == builder.entries.map(\.id))
        #expect(result.end == UInt64(end) && result.unreadable.isEmpty && result.footer == nil)
    }

    @Test func stopsAtTheFooter() throws {
        var builder = try Self.segment()
        let end = builder.bytes.count
        try builder.appendFooter()
        let (records, result) = scan(builder.bytes)
        #expect(records.count == 6)
        #expect(result.end == UInt64(end))
        let footer = try #require(result.footer)
        #expect(footer.offset == UInt64(end))
        let table = builder.buffer.getSlice(at: Int(footer.tableOffset), length: footer.tableByteCount)
        #expect(try footer.entries(decoding: #require(table)) == builder.entries)
    }

    @Test func goesOnFromTheEndOfABatch() throws {
        let builder = try Self.segment()
        let (records, result) = scan(builder.bytes, start: UInt64(builder.batches[1]))
        #expect(records.map(\.id) == builder.entries.dropFirst(2).map(\.id))
        #expect(result.end == UInt64(builder.bytes.count))
    }

    @Test func anUnsoundRecordInTheLastBatchIsTorn() throws {
        for (index, kept) in [(3, [4, 5]), (4, [3, 5]), (5, [3, 4])] {
            var builder = try Self.segment()
            builder.flip(Int(builder.entries[index].offset) + 3)
            builder.appendZeros(8192)
            let (records, result) = scan(builder.bytes)
            #expect(records.map(\.id) == ([0, 1, 2] + kept).map { builder.entries[$0].id })
            #expect(result.unreadable.map(\.kind) == [.torn])
            #expect(result.unreadable.first?.range.lowerBound == builder.entries[index].offset)
        }
    }

    @Test func aBatchOfWhichNothingArrivedIsACleanEnd() throws {
        var builder = try Self.segment()
        builder.zero(builder.batches[2]..<builder.bytes.count)
        let (records, result) = scan(builder.bytes)
        #expect(records.count == 3)
        #expect(result.end == UInt64(builder.batches[2]))
        #expect(result.unreadable.isEmpty)
    }

    @Test func anUnsoundRecordBeforeALaterBatchIsDamage() throws {
        for index in 0..<3 {
            for place in [0, 9, 40, 200] {
                var builder = try Self.segment()
                builder.flip(Int(builder.entries[index].offset) + place)
                let (records, result) = scan(builder.bytes)
                #expect(
                    records.map(\.id) == builder.entries.indices.filter { $0 != index }.map { builder.entries[$0].id }
                )
                #expect(result.unreadable.map(\.kind) == [.damaged])
                let next = index + 1 < 3 ? builder.entries[index + 1].offset : UInt64(builder.batches[2])
                let range = try #require(result.unreadable.first?.range)
                #expect(range.lowerBound == builder.entries[index].offset)
                #expect(range.upperBound <= next)
            }
        }
    }

    @Test func everythingUnsoundBeforeAFooterIsDamage() throws {
        var builder = try Self.segment()
        builder.flip(Int(builder.entries[5].offset) + 170)
        try builder.appendFooter()
        let (records, result) = scan(builder.bytes)
        #expect(records.count == 5)
        #expect(result.unreadable.map(\.kind) == [.damaged])
        #expect(result.footer != nil)
    }

    @Test func aRecordThatBelongsElsewhereIsNotTaken() throws {
        // The first batch, written where the second belongs: a misdirected write.
        var builder = SegmentBuilder()
        try builder.appendBatch([Fixture.image(1, payload: 3000)])
        try builder.appendBatch([Fixture.image(2, payload: 3000)])
        let first = builder.bytes[builder.batches[0]..<builder.batches[1]]
        let moved = Array(builder.bytes[..<builder.batches[1]] + first)
        let (records, result) = scan(moved)
        #expect(records.map(\.id) == [try Fixture.id(1)])
        #expect(result.unreadable.map(\.kind) == [.torn])
    }

    @Test func aSegmentCutShortAnywhereKeepsItsWholeRecords() throws {
        let builder = try Self.segment()
        var generator = SeededGenerator.announced("aSegmentCutShortAnywhereKeepsItsWholeRecords")
        let boundaries = builder.entries.flatMap { [Int($0.offset), Int($0.offset + $0.extent.byteCount)] }
        let nearby = boundaries.flatMap { boundary in (-3...3).map { boundary + $0 } }
        let random = (0..<100).map { _ in Int.random(in: 4096...builder.bytes.count, using: &generator) }
        for count in nearby + random where (4096...builder.bytes.count).contains(count) {
            for zeros in [0, builder.bytes.count - count] {
                let cut = Array(builder.bytes[..<count]) + [UInt8](repeating: 0, count: zeros)
                let (records, result) = scan(cut, windowByteCount: 65536)
                // A record whose last bytes are zero anyway is whole without them; the gap behind it does not matter.
                let whole = builder.entries.filter { entry in
                    let range = Int(entry.offset)..<Int(entry.offset + entry.extent.byteCount)
                    return range.upperBound <= cut.count && cut[range] == builder.bytes[range]
                }
                #expect(records.map(\.id) == whole.map(\.id), "cut at \(count), \(zeros) zeros")
                #expect(result.unreadable.allSatisfy { $0.kind == .torn }, "cut at \(count)")
            }
        }
    }

    @Test func noMutationTrapsOrGoesUnnoticed() throws {
        var generator = SeededGenerator.announced("noMutationTrapsOrGoesUnnoticed")
        var original = SegmentBuilder()
        try original.appendBatch([Fixture.image(1, payload: 900), Fixture.image(2, payload: 3000)])
        try original.appendBatch([Fixture.image(3, payload: 5000)])
        try original.appendFooter()
        let known = scan(original.bytes).records
        for _ in 0..<3000 {
            var bytes = original.bytes
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let offset = Int.random(in: 4096..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[offset] ^= UInt8(1) << UInt8.random(in: 0..<8, using: &generator)
                case 1: bytes[offset] = UInt8.random(in: 0...255, using: &generator)
                case 2:
                    let count = min(bytes.count - offset, Int.random(in: 1...5000, using: &generator))
                    for index in offset..<(offset + count) { bytes[index] = 0 }
                default: bytes.removeLast(Int.random(in: 0...min(5000, bytes.count - 4096), using: &generator))
                }
                if bytes.count <= 4096 { break }
            }
            let (records, result) = scan(bytes, windowByteCount: 8192)
            // Whatever is reported is as it was written, byte for byte.
            for record in records {
                #expect(known.contains(record))
                let range = Int(record.offset)..<Int(record.offset + record.extent.byteCount)
                #expect(range.upperBound <= bytes.count && bytes[range] == original.bytes[range])
            }
            // Nothing is reported twice, and no unreadable range covers a reported record.
            #expect(Set(records.map(\.offset)).count == records.count)
            for range in result.unreadable.map(\.range) {
                #expect(!records.contains { range.contains($0.offset) })
            }
        }
    }

    @Test func randomBytesNeverTrap() throws {
        var generator = SeededGenerator.announced("randomBytesNeverTrap")
        for _ in 0..<300 {
            let count = Int.random(in: 0...20_000, using: &generator)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
            let (records, _) = scan([UInt8](repeating: 0, count: 4096) + bytes, windowByteCount: 8192)
            #expect(records.isEmpty)
        }
    }
}
