// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Rendering
import Testing

@Suite("Grey images")
struct GreyTests {
    @Test("LINEAR as PS3.3 C.11.2.1.2.1 has it: 2048/4096 covers 0 to 4095")
    func linear() throws {
        let window = try #require(Window(center: 2048, width: 4096))
        #expect(window.position(of: 0) == 0 && window.position(of: 4095) == 1)
        #expect(abs(window.position(of: 2047.5) - 0.5) < 1e-12)
        #expect(window.position(of: -1) == 0 && window.position(of: 5000) == 1)
        // A width of 1 is a threshold.
        let threshold = try #require(Window(center: 2048, width: 1))
        #expect(threshold.position(of: 2047.5) == 0 && threshold.position(of: 2048) == 1)
    }

    @Test("LINEAR_EXACT: 2048/4096 covers 0 to 4096; SIGMOID has its middle at the center")
    func others() throws {
        let exact = try #require(Window(center: 2048, width: 4096, function: .linearExact))
        #expect(exact.position(of: 0) == 0 && exact.position(of: 4096) == 1 && exact.position(of: 2048) == 0.5)
        let sigmoid = try #require(Window(center: 100, width: 50, function: .sigmoid))
        #expect(sigmoid.position(of: 100) == 0.5)
        #expect(abs(sigmoid.position(of: 125) - 0.880_797) < 1e-6)
        #expect(sigmoid.position(of: -1e9) == 0 && sigmoid.position(of: 1e9) == 1)
    }

    @Test("What is no window is none")
    func noWindow() {
        #expect(Window(center: 0, width: 0.5) == nil && Window(center: 0, width: 0, function: .linearExact) == nil)
        #expect(Window(center: 0, width: 0.5, function: .linearExact) != nil)
        #expect(Window(center: .nan, width: 1) == nil && Window(center: 0, width: .infinity) == nil)
        #expect(Window(center: 0, width: -5, function: .sigmoid) == nil)
    }

    @Test("A lookup table holds its first and last entries beyond its ends")
    func tables() throws {
        let table = try #require(LookupTable(entries: [10, 20, 30], firstMapped: -1, bitCount: 8))
        #expect([-9, -1, 0, 1, 9, .min, .max].map { table[$0] } == [10, 10, 20, 30, 30, 10, 30])
        // A number of bits that can't be right gives way to the entries'.
        #expect(LookupTable(entries: [0, 4095], firstMapped: 0, bitCount: 8)?.bitCount == 12)
        #expect(LookupTable(entries: [0, 255], firstMapped: 0, bitCount: 0)?.bitCount == 8)
        #expect(LookupTable(entries: [], firstMapped: 0, bitCount: 8) == nil)
    }

    @Test("Every bit layout has the values that its bits say", arguments: [8, 16, 32], [false, true])
    func layouts(allocated: Int, isSigned: Bool) throws {
        for stored in Set([1, 7, 8, 12, 16, allocated]).filter({ $0 <= min(allocated, 16) }) {
            for highBit in Set([stored - 1, allocated - 1]) {
                let shift = highBit + 1 - stored
                let codes = [0, 1, (1 << stored) - 1, 1 << (stored - 1)].map { $0 & ((1 << stored) - 1) }
                let values = codes.map { isSigned && $0 >> (stored - 1) != 0 ? $0 - (1 << stored) : $0 }
                var frame = ByteBuffer()
                for code in codes {
                    // Rubbish around the stored bits is not of the image.
                    let mask = ((1 << stored) - 1) << shift
                    let word = code << shift | (~mask & 0x5555_5555)
                    for byte in 0..<allocated / 8 { frame.writeInteger(UInt8(truncatingIfNeeded: word >> (8 * byte))) }
                }
                var made = Made(rows: 1, columns: 4, allocated: allocated, stored: stored)
                made.highBit = highBit
                made.isSigned = isSigned
                let center = Double(values.min() ?? 0) + 128
                let window = try #require(Window(center: center, width: 256, function: .linearExact))
                let picture = try FrameRenderer(made.dataSet).render(frame, number: 1, options: .init(window: window))
                let expected = values.map { UInt8(max(0, min(255, (window.position(of: Double($0)) * 255).rounded()))) }
                #expect(picture.samples == expected, "\(stored) of \(allocated) bits, high bit \(highBit)")
            }
        }
    }

    @Test("Single bits are pixels, the lowest first")
    func bits() throws {
        let made = Made(rows: 2, columns: 5, allocated: 1, stored: 1)
        let picture = try FrameRenderer(made.dataSet).render(ByteBuffer(bytes: [0b1010_0101, 0b10]), number: 1)
        #expect(picture.samples == [255, 0, 255, 0, 0, 255, 0, 255, 0, 255])
    }

    @Test("Rescaled values go through the window of the data set, the first of several")
    func rescaled() throws {
        var made = Made(rows: 1, columns: 3, allocated: 16, stored: 12)
        made.texts = [
            (Tag(0x0028, 0x1050), "40\\400"), (Tag(0x0028, 0x1051), "81\\1500"), (Tag(0x0028, 0x1052), "-1024"),
            (Tag(0x0028, 0x1053), "2"),
        ]
        // 512 * 2 - 1024 = 0 is half a value above the lower end of 40/81, 552 * 2 - 1024 = 80 beyond the upper.
        let picture = try FrameRenderer(made.dataSet).render(made.frame([512, 532, 552]), number: 1)
        #expect(picture.samples == [2, 129, 255])
        made.photometric = "MONOCHROME1"
        #expect(
            try FrameRenderer(made.dataSet).render(made.frame([512, 532, 552]), number: 1).samples == [253, 126, 0]
        )
    }

    @Test("Without a window the values of the frame fill the levels, padding aside")
    func extent() throws {
        var made = Made(rows: 1, columns: 4, allocated: 16, stored: 16)
        made.isSigned = true
        let renderer = try FrameRenderer(made.dataSet)
        #expect(try renderer.render(made.frame([-100, 0, 100, -100]), number: 1).samples == [0, 128, 255, 0])
        #expect(try renderer.render(made.frame([7, 7, 7, 7]), number: 1).samples == [128, 128, 128, 128])
        made.texts = [(Tag(0x0028, 0x0120), "-2000")]
        let padded = try FrameRenderer(made.dataSet).render(made.frame([-2000, 0, 50, 100]), number: 1)
        #expect(padded.samples == [0, 0, 128, 255])
    }

    @Test("Tables of modality and VOI come one after the other")
    func sequences() throws {
        var made = Made(rows: 1, columns: 3, allocated: 8, stored: 8)
        made.modalityLUT = ([100, 200, 300], 0, 16)
        made.voiLUT = ([0, 1023], 200, 10)
        #expect(try FrameRenderer(made.dataSet).render(made.frame([0, 1, 2]), number: 1).samples == [0, 0, 255])
        // A window of the data set comes before its table.
        made.texts = [(Tag(0x0028, 0x1050), "200.5"), (Tag(0x0028, 0x1051), "201")]
        #expect(try FrameRenderer(made.dataSet).render(made.frame([0, 1, 2]), number: 1).samples == [0, 128, 255])
    }

    @Test("Enhanced images have transformations for each frame, or for all")
    func functionalGroups() throws {
        var made = Made(rows: 1, columns: 2, allocated: 8, stored: 8)
        func group(_ macro: DICOM.Tag, _ values: [(DICOM.Tag, String)]) -> SequenceItem {
            var inner = DataSet()
            for (tag, text) in values { inner.set(tag, .ds, text) }
            var item = DataSet()
            item.set(DataElement(tag: macro, vr: .sq, value: .items([SequenceItem(inner)])))
            return SequenceItem(item)
        }
        let window = [(Tag(0x0028, 0x1050), "50"), (Tag(0x0028, 0x1051), "100")]
        made.sequences = [
            (Tag(0x5200, 0x9229), [group(Tag(0x0028, 0x9132), window)]),
            (
                Tag(0x5200, 0x9230),
                [
                    group(Tag(0x0028, 0x9145), [(Tag(0x0028, 0x1052), "0"), (Tag(0x0028, 0x1053), "1")]),
                    group(Tag(0x0028, 0x9145), [(Tag(0x0028, 0x1052), "0"), (Tag(0x0028, 0x1053), "2")]),
                ]
            ),
        ]
        let renderer = try FrameRenderer(made.dataSet)
        #expect(try renderer.render(made.frame([0, 20]), number: 1).samples == [0, 52])
        #expect(try renderer.render(made.frame([0, 20]), number: 2).samples == [0, 103])
    }

    @Test("A frame that is too short, or no image at all, is an error")
    func errors() throws {
        let made = Made(rows: 2, columns: 2, allocated: 16, stored: 16)
        #expect(throws: RenderingError.self) {
            try FrameRenderer(made.dataSet).render(ByteBuffer(repeating: 0, count: 7), number: 1)
        }
        #expect(throws: RenderingError.self) { try FrameRenderer(DataSet()) }
        var strange = made
        strange.photometric = "CMYK"
        #expect(throws: RenderingError.self) {
            try FrameRenderer(strange.dataSet).render(ByteBuffer(repeating: 0, count: 8), number: 1)
        }
    }
}
