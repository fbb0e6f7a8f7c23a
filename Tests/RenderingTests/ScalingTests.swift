// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore
import Rendering
import Testing

@Suite("Regions and sizes")
struct ScalingTests {
    /// Six by four pixels whose levels are their numbers times ten.
    private static var made: Made {
        var made = Made(rows: 4, columns: 6, allocated: 8, stored: 8)
        made.texts = [(Tag(0x0028, 0x1050), "128"), (Tag(0x0028, 0x1051), "256")]
        return made
    }

    private func render(_ viewport: Viewport?, _ made: Made = Self.made) throws -> Picture {
        let frame = made.frame((0..<made.rows * made.columns).map { $0 * 10 })
        return try FrameRenderer(made.dataSet).render(frame, number: 1, options: .init(viewport: viewport))
    }

    @Test("A region at its own size is its pixels")
    func region() throws {
        let region = Viewport.Region(x: 1, y: 2, width: 2, height: 2)
        #expect(try render(Viewport(width: 2, height: 2, region: region)).samples == [130, 140, 190, 200])
        let rest = Viewport.Region(x: 4, y: 2)
        #expect(try render(Viewport(width: 2, height: 2, region: rest)).samples == [160, 170, 220, 230])
    }

    @Test("A negative extent mirrors")
    func mirrored() throws {
        let across = Viewport.Region(x: 1, y: 2, width: -2, height: 2)
        #expect(try render(Viewport(width: 2, height: 2, region: across)).samples == [140, 130, 200, 190])
        let both = Viewport.Region(x: 1, y: 2, width: -2, height: -2)
        #expect(try render(Viewport(width: 2, height: 2, region: both)).samples == [200, 190, 140, 130])
    }

    @Test("A region outside of the image is refused")
    func outside() {
        for region in [
            Viewport.Region(x: 6, y: 0), .init(x: 0, y: 4), .init(x: -1, y: 0), .init(x: 0, y: 0, width: 7),
            .init(x: 5, y: 0, width: 2), .init(x: 0, y: 0, height: -5), .init(x: 0, y: 0, width: 0),
            .init(x: 0, y: 0, width: .min, height: .max), .init(x: .max, y: .max),
            .init(x: .max, y: 0, width: 2, height: 2), .init(x: .min, y: .min),
            .init(x: 0, y: .max, width: 1, height: .max),
        ] {
            #expect(throws: RenderingError.self) { try render(Viewport(width: 9, height: 9, region: region)) }
        }
    }

    @Test("The shape of the image is kept", arguments: [(60, 60, 60, 40), (3, 60, 3, 2), (60, 2, 3, 2), (1, 1, 1, 1)])
    func shape(width: Int, height: Int, fittedWidth: Int, fittedHeight: Int) throws {
        let picture = try render(Viewport(width: width, height: height))
        #expect(picture.width == fittedWidth && picture.height == fittedHeight)
    }

    @Test("Halving averages, and one colour stays one colour")
    func averages() throws {
        var made = Made(rows: 2, columns: 2, allocated: 8, stored: 8)
        made.texts = Self.made.texts
        let frame = made.frame([0, 100, 100, 200])
        let picture = try FrameRenderer(made.dataSet)
            .render(frame, number: 1, options: .init(viewport: Viewport(width: 1, height: 1)))
        #expect(picture.samples == [100])
        let flat = try FrameRenderer(made.dataSet)
            .render(made.frame([77, 77, 77, 77]), number: 1, options: .init(viewport: Viewport(width: 33, height: 33)))
        #expect(Set(flat.samples) == [77])
    }

    @Test("Pixels that are not square are made so")
    func aspect() throws {
        var made = Self.made
        made.texts.append((Tag(0x0028, 0x0034), "2\\1"))
        let tall = try render(nil, made)
        #expect(tall.width == 6 && tall.height == 8)
        let fitted = try render(Viewport(width: 100, height: 80), made)
        #expect(fitted.width == 60 && fitted.height == 80)
        made.texts[2].1 = "1000\\1"
        #expect(try render(nil, made).height == 4)
    }
}
