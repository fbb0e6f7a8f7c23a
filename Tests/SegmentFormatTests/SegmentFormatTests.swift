// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import SegmentFormat
import Testing

@Suite struct SegmentFormatTests {
    static let header = SegmentHeader(
        segment: Fixture.segment,
        segmentClass: .shared,
        cluster: Fixture.cluster,
        node: Fixture.node,
        createdAtMilliseconds: 0x0000_018B_CFE5_6800
    )

    static let manifestBlock = ManifestBlock(
        sequence: 3,
        cluster: Fixture.cluster,
        node: Fixture.node,
        entries: [
            .opened(BootID(high: 0x3132_3334_3536_3738, low: 0x393A_3B3C_3D3E_3F40)),
            .reserved(below: SegmentID(rawValue: 0x40)),
            .created(Fixture.segment),
            .sealed(Fixture.segment, .large, footerOffset: 0x5000),
            .recovered(Fixture.segment, end: 0x6000),
            .unreadable(Fixture.segment, UnreadableRange(range: 0x1000..<0x2000, kind: .damaged)),
            .writeFailed(Fixture.segment), .closed, .uncertain, .reconciled,
        ]
    )

    static func footer() throws -> ByteBuffer {
        try SegmentFooter.encoded(
            cluster: Fixture.cluster,
            segment: Fixture.segment,
            offset: 0x4000,
            entries: [
                FooterEntry(
                    id: Fixture.id(1),
                    type: .instance,
                    offset: 0x1000,
                    extent: RecordExtent(payloadByteCount: 0x0102, metadataByteCount: 0x0304)
                )
            ]
        )
    }

    /// The bytes up to the last that is not zero.
    private static func front(_ buffer: ByteBuffer) -> String {
        let bytes = Array(buffer.readableBytesView)
        let count = (bytes.lastIndex { $0 != 0 } ?? -1) + 1
        return Fixture.hexadecimal(ByteBuffer(bytes: bytes[..<count]))
    }

    @Test func segmentHeaderHasGoldenBytes() throws {
        let buffer = Self.header.encoded()
        #expect(buffer.readableBytes == 4096)
        #expect(Self.front(buffer) == Golden.segmentHeader)
        #expect(try SegmentHeader(decoding: buffer) == Self.header)
    }

    @Test func footerHasGoldenBytes() throws {
        let buffer = try Self.footer()
        #expect(buffer.readableBytes == 3 * 4096)
        #expect(Self.front(try #require(buffer.getSlice(at: 0, length: 4096))) == Golden.footerBlock)
        #expect(Self.front(try #require(buffer.getSlice(at: 4096, length: 4096))) == Golden.footerTable)
        #expect(buffer.getSlice(at: 0, length: 4096) == buffer.getSlice(at: 8192, length: 4096))
    }

    @Test func manifestBlockHasGoldenBytes() throws {
        let buffer = Self.manifestBlock.encoded()
        #expect(buffer.readableBytes == 4096)
        #expect(Self.front(buffer) == Golden.manifestBlock)
        #expect(try ManifestBlock(decoding: buffer) == Self.manifestBlock)
    }

    @Test func laterManifestEntriesHaveGoldenBytes() throws {
        let block = ManifestBlock(
            sequence: 4,
            cluster: Fixture.cluster,
            node: Fixture.node,
            entries: [
                .term(Term(rawValue: 0x0807_0605_0403_0201)),
                .healed(
                    Fixture.segment,
                    UnreadableRange(range: 0x1000..<0x2000, kind: .damaged, record: try Fixture.id(0x2122))
                ),
                .scrubbed(Fixture.segment, atMilliseconds: 0x0000_018B_CFE5_6800),
                .retired(Fixture.segment, atMilliseconds: 0x0000_018B_CFE5_6801),
                .purged(Fixture.segment, permit: Amendment.Reference(high: 0x4142, low: 0x5152)),
                .sealed(Fixture.segment, .compacted, footerOffset: 0x7000),
            ]
        )
        let buffer = block.encoded()
        #expect(Self.front(buffer) == Golden.laterManifestBlock)
        #expect(try ManifestBlock(decoding: buffer) == block)
    }

    /// The fields are those of a healed range.
    @Test func aSoundRangeIsWrittenAsKind16() throws {
        let range = UnreadableRange(range: 0x1000..<0x2000, kind: .damaged, record: try Fixture.id(0x2122))
        func block(_ entry: ManifestEntry) -> ManifestBlock {
            ManifestBlock(sequence: 4, cluster: Fixture.cluster, node: Fixture.node, entries: [entry])
        }
        let sound = block(.sound(Fixture.segment, range)).encoded()
        let healed = block(.healed(Fixture.segment, range)).encoded()
        #expect(sound.getInteger(at: 64, as: UInt8.self) == 16)
        #expect(healed.getInteger(at: 64, as: UInt8.self) == 12)
        #expect(sound.getSlice(at: 65, length: 47) == healed.getSlice(at: 65, length: 47))
        #expect(try ManifestBlock(decoding: sound) == block(.sound(Fixture.segment, range)))
    }

    @Test func blocksCutShortAreRefused() throws {
        let header = Self.header.encoded()
        let manifest = Self.manifestBlock.encoded()
        let footer = try Self.footer()
        for count in stride(from: 0, to: 4096, by: 7) {
            #expect(throws: SegmentFormatError.self) {
                try SegmentHeader(decoding: header.getSlice(at: 0, length: count) ?? ByteBuffer())
            }
            #expect(throws: SegmentFormatError.self) {
                try ManifestBlock(decoding: manifest.getSlice(at: 0, length: count) ?? ByteBuffer())
            }
            #expect(throws: SegmentFormatError.self) {
                try SegmentFooter(decodingBlock: footer.getSlice(at: 0, length: count) ?? ByteBuffer())
            }
        }
    }

    @Test func everyByteOfABlockCounts() throws {
        let header = Array(Self.header.encoded().readableBytesView)
        let manifest = Array(Self.manifestBlock.encoded().readableBytesView)
        let footer = Array(try Self.footer().readableBytesView.prefix(4096))
        for index in stride(from: 0, to: 4096, by: 3) {
            func flipped(_ bytes: [UInt8]) -> ByteBuffer {
                var bytes = bytes
                bytes[index] ^= 0x40
                return ByteBuffer(bytes: bytes)
            }
            #expect(throws: SegmentFormatError.self) { try SegmentHeader(decoding: flipped(header)) }
            #expect(throws: SegmentFormatError.self) { try ManifestBlock(decoding: flipped(manifest)) }
            #expect(throws: SegmentFormatError.self) { try SegmentFooter(decodingBlock: flipped(footer)) }
        }
    }

    @Test func aDamagedFooterTableIsNoticed() throws {
        let buffer = try Self.footer()
        let footer = try SegmentFooter(decodingBlock: buffer)
        var table = try #require(buffer.getSlice(at: 4096, length: footer.tableByteCount))
        #expect(try footer.entries(decoding: table).count == 1)
        table.setInteger(UInt8(0xFF), at: 20)
        #expect(throws: SegmentFormatError.self) { try footer.entries(decoding: table) }
    }

    @Test func segmentFileNamesRoundTrip() {
        #expect(Fixture.segment.fileName == "000000000000002a.seg")
        #expect(SegmentID(fileName: "000000000000002a.seg") == Fixture.segment)
        #expect(SegmentID(fileName: SegmentID(rawValue: .max).fileName) == SegmentID(rawValue: .max))
        for name in ["", "2a.seg", "000000000000002A.seg", "000000000000002a.sig", "000000000000002a.seg~"] {
            #expect(SegmentID(fileName: name) == nil)
        }
    }
}

@Suite struct ManifestStateTests {
    private static func log(_ entries: [[ManifestEntry]], sequence: UInt64 = 0) -> ByteBuffer {
        var buffer = ByteBuffer()
        for (index, entries) in entries.enumerated() {
            let block = ManifestBlock(
                sequence: sequence + UInt64(index),
                cluster: Fixture.cluster,
                node: Fixture.node,
                entries: entries
            )
            buffer.writeImmutableBuffer(block.encoded())
        }
        return buffer
    }

    private static func replay(_ bytes: ByteBuffer) throws -> ManifestState {
        try ManifestState(replaying: bytes, cluster: Fixture.cluster, node: Fixture.node)
    }

    private static let first = SegmentID(rawValue: 1)
    private static let second = SegmentID(rawValue: 2)
    private static let boot = BootID(high: 1, low: 2)
    private static let history: [[ManifestEntry]] = [
        [.opened(boot), .reserved(below: SegmentID(rawValue: 65))],
        [.created(first)],
        [.sealed(first, .shared, footerOffset: 8192), .created(second)],
        [.opened(boot), .recovered(second, end: 12288)],
    ]

    @Test func sumsUpItsEntries() throws {
        let state = try Self.replay(Self.log(Self.history))
        #expect(
            state.segments == [Self.first: .sealed(.shared, footerOffset: 8192), Self.second: .recovered(end: 12288)]
        )
        #expect(state.reservedBelow == SegmentID(rawValue: 65))
        #expect(state.lastBoot == Self.boot)
        #expect(!state.isClosed && !state.isDamaged && !state.isUncertain)
        #expect(state.nextOffset == 4 * 4096 && state.nextSequence == 4)
    }

    @Test func anEmptyManifestIsANewStore() throws {
        let state = try Self.replay(ByteBuffer())
        #expect(state.isClosed && state.segments.isEmpty && state.nextOffset == 0)
    }

    @Test func aTornBlockIsNoDamage() throws {
        // The last block was cut short; the process that came after wrote the same sequence number behind it.
        var bytes = Self.log(Array(Self.history[..<3]))
        bytes.writeRepeatingByte(0x55, count: 1000)
        let cut = try Self.replay(bytes)
        #expect(!cut.isDamaged && cut.nextOffset == 4 * 4096 && cut.nextSequence == 3)
        bytes.writeRepeatingByte(0, count: 3096)
        bytes.writeImmutableBuffer(Self.log([Self.history[3]], sequence: 3))
        let state = try Self.replay(bytes)
        #expect(!state.isDamaged && state.segments.count == 2 && state.nextOffset == 5 * 4096)
    }

    @Test func aBlockOfWhichOnlyZerosAreMissingCountsAtOnce() throws {
        let whole = Self.log(Self.history)
        let cut = try #require(whole.getSlice(at: 0, length: 3 * 4096 + 2048))
        let state = try Self.replay(cut)
        #expect(state.segments[Self.second] == .recovered(end: 12288))
        #expect(state.nextOffset == 4 * 4096 && state.nextSequence == 4 && !state.isDamaged)
    }

    @Test func aMissingBlockIsDamage() throws {
        for index in 0..<3 {
            var bytes = Array(Self.log(Self.history).readableBytesView)
            bytes[index * 4096 + 70] ^= 1
            #expect(try Self.replay(ByteBuffer(bytes: bytes)).isDamaged)
        }
    }

    @Test func uncertaintyLastsUntilItIsResolved() throws {
        let uncertain = Self.history + [[.opened(Self.boot), .uncertain], [.closed], [.opened(Self.boot)]]
        #expect(try Self.replay(Self.log(uncertain)).isUncertain)
        #expect(try !Self.replay(Self.log(uncertain + [[.reconciled]])).isUncertain)
    }

    @Test func aHealedRangeIsForgotten() throws {
        let range = UnreadableRange(range: 512..<1024, kind: .damaged, record: try Fixture.id(4))
        let other = UnreadableRange(range: 512..<1024, kind: .damaged)
        let found = [[ManifestEntry.unreadable(Self.first, range), .unreadable(Self.first, other)]]
        #expect(try Self.replay(Self.log(found)).unreadable.map(\.range) == [range, other])
        let healed = found + [[.healed(Self.first, range)]]
        #expect(try Self.replay(Self.log(healed)).unreadable.map(\.range) == [other])
    }

    @Test func aRangeThatIsSoundAfterAllIsForgottenAltogether() throws {
        let range = UnreadableRange(range: 512..<1024, kind: .damaged, record: try Fixture.id(4))
        let found = [[ManifestEntry.unreadable(Self.first, range)]]
        let state = try Self.replay(Self.log(found + [[.sound(Self.first, range)]]))
        #expect(state.unreadable.isEmpty && state.healed.isEmpty)
        #expect(try Self.replay(Self.log(found + [[.healed(Self.first, range)]])).healed.count == 1)
    }

    @Test func whatIsRetiredIsInTheTrashUntilItIsPurged() throws {
        let range = UnreadableRange(range: 512..<1024, kind: .torn)
        let permit = Amendment.Reference(high: 1, low: 2)
        let retired =
            Self.history + [[.unreadable(Self.first, range)], [.retired(Self.first, atMilliseconds: 99)]]
        let state = try Self.replay(Self.log(retired))
        #expect(state.segments.keys.sorted() == [Self.second])
        #expect(state.retired == [Self.first: 99] && state.unreadable.isEmpty)
        #expect(try Self.replay(Self.log(retired + [[.purged(Self.first, permit: permit)]])).retired.isEmpty)
    }

    @Test func theHighestTermIsKept() throws {
        let terms = [3, 7, 5].map { [ManifestEntry.term(Term(rawValue: $0))] }
        #expect(try Self.replay(Self.log(terms)).highestTerm == Term(rawValue: 7))
        #expect(try Self.replay(Self.log(Self.history)).highestTerm == Term(rawValue: 0))
    }

    @Test func anotherStoresManifestIsRefused() {
        let error = #expect(throws: SegmentFormatError.self) {
            try ManifestState(
                replaying: Self.log(Self.history),
                cluster: Fixture.cluster,
                node: NodeID(high: 0, low: 1)
            )
        }
        #expect(error?.code == .foreign)
    }

    @Test func noMutationTraps() throws {
        var generator = SeededGenerator.announced("manifest noMutationTraps")
        let original = Array(Self.log(Self.history).readableBytesView)
        for _ in 0..<1000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            bytes.removeLast(Int.random(in: 0...5000, using: &generator))
            _ = try? Self.replay(ByteBuffer(bytes: bytes))
        }
    }
}
