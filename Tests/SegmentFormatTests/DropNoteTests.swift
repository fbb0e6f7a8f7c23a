// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import SegmentFormat
import Testing

@Suite struct DropNoteTests {
    private static let note = DropNote(
        term: Term(rawValue: 0x0807_0605_0403_0201),
        permit: Amendment.Reference(high: 0x1011_1213_1415_1617, low: 0x1819_1A1B_1C1D_1E1F),
        places: [
            SegmentPlace(segment: SegmentID(rawValue: 0x2827_2625_2423_2221), offset: 0x3837_3635_3433_3231),
            SegmentPlace(segment: SegmentID(rawValue: 1), offset: 4096),
        ]
    )

    @Test func `its bytes are those of the format`() throws {
        let expected: [UInt8] =
            [1, 0, 2, 0, 0, 0, 0, 0] + Array(1...8) + Array(0x10...0x1F) + Array(0x21...0x28) + Array(0x31...0x38)
            + [1, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0]
        let encoded = Self.note.encoded()
        #expect(Array(encoded.readableBytesView) == expected)
        #expect(try DropNote(decoding: encoded) == Self.note)
    }

    @Test func `what is no note is refused`() throws {
        let encoded = Self.note.encoded()
        for count in 0..<encoded.readableBytes {
            let cut = try #require(encoded.getSlice(at: 0, length: count))
            #expect(throws: SegmentFormatError.self) { try DropNote(decoding: cut) }
        }
        var long = encoded
        long.writeInteger(UInt8(0))
        #expect(throws: SegmentFormatError.self) { try DropNote(decoding: long) }
        for (offset, value) in [(0, UInt8(2)), (2, 0), (2, 3), (2, 65), (3, 1)] {
            var wrong = encoded
            wrong.setInteger(value, at: offset)
            #expect(throws: SegmentFormatError.self) { try DropNote(decoding: wrong) }
        }
    }

    @Test func `a manifest remembers that there may be notes`() throws {
        let (cluster, node) = (ClusterID(high: 1, low: 2), NodeID(high: 3, low: 4))
        let block = ManifestBlock(sequence: 0, cluster: cluster, node: node, entries: [.drops, .closed])
        let state = try ManifestState(replaying: block.encoded(), cluster: cluster, node: node)
        #expect(state.hasDrops && state.isClosed && !ManifestState().hasDrops)
    }
}
