// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Rendering
import Testing

@Suite("Images that nobody would make")
struct RobustnessTests {
    private struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
    }

    @Test("Any description, tables, frame and request give a picture or an error", arguments: 1...40)
    func anything(seed: UInt64) {
        var generator = Generator(state: seed &* 0x9E37_79B9_7F4A_7C15)
        for _ in 0..<100 {
            let numbers = [0, 1, 2, 7, 8, 12, 16, 32, 255, 65_535, -1, .max, .min, 1 << 40]
            func number() -> Int { numbers[Int.random(in: 0..<numbers.count, using: &generator)] }
            var made = Made(
                rows: Int.random(in: 1...9, using: &generator),
                columns: Int.random(in: 1...9, using: &generator),
                allocated: [1, 8, 16, 32][Int.random(in: 0..<4, using: &generator)],
                stored: 1
            )
            made.stored = Int.random(in: 1...made.allocated, using: &generator)
            made.highBit = Int.random(in: made.stored - 1...made.allocated - 1, using: &generator)
            made.isSigned = Bool.random(using: &generator)
            made.isPlanar = Bool.random(using: &generator)
            let kinds = [
                "MONOCHROME1", "MONOCHROME2", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "PALETTE COLOR", "",
            ]
            made.photometric = kinds[Int.random(in: 0..<kinds.count, using: &generator)]
            made.samples = ["RGB", "YBR_FULL", "YBR_FULL_422"].contains(made.photometric) ? 3 : 1
            for tag: UInt16 in [0x0034, 0x0120, 0x1050, 0x1051, 0x1052, 0x1053] where Bool.random(using: &generator) {
                made.texts.append(
                    (
                        DICOM.Tag(0x0028, tag),
                        ["\(number())\\\(number())", "1e308", "-1e308", "nan", "0"][
                            Int.random(in: 0..<5, using: &generator)
                        ]
                    )
                )
            }
            if Bool.random(using: &generator) { made.modalityLUT = ((0..<5).map { _ in number() }, number(), number()) }
            if Bool.random(using: &generator) { made.voiLUT = ((0..<5).map { _ in number() }, number(), number()) }
            var dataSet = made.dataSet
            for channel: UInt16 in 0..<3 {
                dataSet.set(Tag(0x0028, 0x1101 + channel), .us, integers: [number(), number(), number()])
                let words = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
                    Int.random(in: 0...3, using: &generator)
                }
                dataSet.set(
                    Tag(0x0028, (Bool.random(using: &generator) ? 0x1201 : 0x1221) + channel),
                    .ow,
                    integers: words
                )
            }
            let frame = ByteBuffer(
                bytes: (0..<Int.random(in: 0...400, using: &generator)).map { _ in
                    UInt8.random(in: 0...255, using: &generator)
                }
            )
            let region = Viewport.Region(
                x: number(),
                y: number(),
                width: number(),
                height: Bool.random(using: &generator) ? nil : number()
            )
            let viewport = Viewport(
                width: Int.random(in: 1...20, using: &generator),
                height: Int.random(in: 1...20, using: &generator),
                region: Bool.random(using: &generator) ? region : .init()
            )
            let options = FrameRenderer.Options(
                window: Window(center: Double(number()), width: Double(number()), function: .sigmoid),
                viewport: Bool.random(using: &generator) ? viewport : nil
            )
            let picture = try? FrameRenderer(dataSet).render(frame, number: number(), options: options)
            if let picture { #expect((try? PNGEncoder.encode(picture)) != nil) }
        }
    }
}
