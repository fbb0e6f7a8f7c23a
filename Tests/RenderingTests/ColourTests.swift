// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Rendering
import Testing

@Suite("Colour images")
struct ColourTests {
    private func made(_ photometric: String, allocated: Int = 8, columns: Int = 2) -> Made {
        var made = Made(rows: 1, columns: columns, allocated: allocated, stored: allocated)
        made.samples = 3
        made.photometric = photometric
        return made
    }

    @Test("RGB by pixel and by plane, with the upper bits of wide samples")
    func rgb() throws {
        var made = made("RGB")
        #expect(
            try FrameRenderer(made.dataSet).render(made.frame([1, 2, 3, 4, 5, 6]), number: 1).samples == [
                1, 2, 3, 4, 5, 6,
            ]
        )
        made.isPlanar = true
        #expect(
            try FrameRenderer(made.dataSet).render(made.frame([1, 4, 2, 5, 3, 6]), number: 1).samples == [
                1, 2, 3, 4, 5, 6,
            ]
        )
        var wide = self.made("RGB", allocated: 16)
        wide.stored = 12
        let values = [0x123, 0xFFF, 0, 0x800, 0x7F0, 0x010]
        let picture = try FrameRenderer(wide.dataSet).render(wide.frame(values), number: 1)
        #expect(picture.channelCount == 3 && picture.samples == [0x12, 0xFF, 0, 0x80, 0x7F, 0x01])
    }

    @Test("YBR_FULL, and its subsampled form, in which two pixels share their chroma")
    func ybr() throws {
        let full = made("YBR_FULL")
        // Grey, and the red of BT.601.
        let picture = try FrameRenderer(full.dataSet).render(full.frame([77, 128, 128, 76, 85, 255]), number: 1)
        #expect(picture.samples == [77, 77, 77, 254, 0, 0])
        let half = made("YBR_FULL_422")
        let shared = try FrameRenderer(half.dataSet).render(half.frame([76, 77, 85, 255]), number: 1)
        #expect(shared.samples == [254, 0, 0, 255, 1, 1])
        // What a decoder has made of it counts, not what the data set says.
        let decoded = try FrameRenderer(half.dataSet).render(
            half.frame([1, 2, 3, 4, 5, 6]),
            number: 1,
            photometric: "RGB"
        )
        #expect(decoded.samples == [1, 2, 3, 4, 5, 6])
    }

    @Test("YBR_PARTIAL spans 16 to 235")
    func partial() throws {
        let made = made("YBR_PARTIAL_422")
        let picture = try FrameRenderer(made.dataSet).render(made.frame([16, 235, 128, 128]), number: 1)
        #expect(picture.samples == [0, 0, 0, 255, 255, 255])
    }

    @Test("A palette gives its colours, of 8 or of 16 bits", arguments: [8, 16])
    func palette(bits: Int) throws {
        var made = Made(rows: 1, columns: 3, allocated: 8, stored: 8)
        made.photometric = "PALETTE COLOR"
        var dataSet = made.dataSet
        for (channel, values) in [[10, 20], [30, 40], [50, 60]].enumerated() {
            let element = UInt16(channel)
            dataSet.set(Tag(0x0028, 0x1101 + element), .us, integers: [2, 1, bits])
            var data = ByteBuffer()
            for value in values {
                if bits == 8 {
                    data.writeInteger(UInt8(value))
                } else {
                    data.writeInteger(UInt16(value << 8), endianness: .little)
                }
            }
            dataSet.set(DataElement(tag: Tag(0x0028, 0x1201 + element), vr: .ow, value: .bytes(data)))
        }
        let picture = try FrameRenderer(dataSet).render(made.frame([0, 2, 9]), number: 1)
        #expect(picture.samples == [10, 30, 50, 20, 40, 60, 20, 40, 60])
        // Segments: two values, and a line from there; then, by reference, the first segment again.
        let segments: [Int] = [0, 2, 7, 8, 1, 3, 20, 2, 1] + (bits == 8 ? [0, 0, 0, 0] : [0, 0])
        var data = ByteBuffer()
        for (index, word) in segments.enumerated() {
            let isValue = [2, 3, 6].contains(index)
            if bits == 8 {
                data.writeInteger(UInt8(word))
            } else {
                data.writeInteger(UInt16(isValue ? word << 8 : word), endianness: .little)
            }
        }
        dataSet.remove(Tag(0x0028, 0x1202))
        dataSet.set(DataElement(tag: Tag(0x0028, 0x1222), vr: .ow, value: .bytes(data)))
        made.columns = 8
        dataSet.set(Tag(0x0028, 0x0011), .us, integers: [8])
        let segmented = try FrameRenderer(dataSet).render(made.frame([1, 2, 3, 4, 5, 6, 7, 200]), number: 1)
        let green = stride(from: 1, to: 24, by: 3).map { segmented.samples[$0] }
        #expect(green == [7, 8, 12, 16, 20, 7, 8, 8])
        dataSet.remove(Tag(0x0028, 0x1222))
        #expect(throws: RenderingError.self) { try FrameRenderer(dataSet) }
    }
}
