// SPDX-License-Identifier: Apache-2.0

import DICOM
import DICOMWeb
import FuzzHarness
import NIOCore
import Rendering

/// What a client says of a picture, and what an image says of itself: windows, tables, palettes plain and segmented.
///
/// Input: the byte count of the query, the query, and the image's data set without pixel data in Explicit VR Little
/// Endian. The pixels are a pattern.
enum RenderingFuzz {
    static let target = FuzzTarget("rendering", maximumByteCount: 1_024, timeoutSeconds: 5, seeds: seeds, run: run)

    /// Larger images and pictures take time and show nothing new.
    private static let maximumPixelCount = 1 << 14

    static func run(_ input: ByteBuffer) {
        var bytes = input
        let count = min(Int(bytes.takeByte()), bytes.readableBytes)
        let text = bytes.readSlice(length: count).map { String(buffer: $0) }
        let request = (try? QueryParameters(query: text)).flatMap { query in
            _ = try? RenderedRequest(query: query, isThumbnail: true)
            return try? RenderedRequest(query: query)
        }
        let syntax = TransferSyntax.explicitVRLittleEndian
        guard let dataSet = try? DataSetReader.read(bytes, transferSyntax: syntax, limits: DataSetFuzz.limits).dataSet,
            let image = try? ImagePixelDescription(dataSet), image.rows * image.columns <= maximumPixelCount,
            let renderer = try? FrameRenderer(dataSet)
        else { return }
        let options = options(request)
        let pixels = ByteBuffer(bytes: (0..<image.frameByteCount).map { UInt8(truncatingIfNeeded: $0 &* 37) })
        for number in [1, image.numberOfFrames] {
            guard let picture = try? renderer.render(pixels, number: number, options: options) else { continue }
            FuzzTarget.check(
                picture.samples.count == picture.width * picture.height * picture.channelCount
                    && picture.width > 0 && picture.height > 0,
                "a picture of \(picture.width) x \(picture.height) has \(picture.samples.count) samples"
            )
        }
    }

    private static func options(_ request: RenderedRequest?) -> FrameRenderer.Options {
        var options = FrameRenderer.Options()
        if let window = request?.window {
            let function: Rendering.Window.Function =
                switch window.function {
                case .linear: .linear
                case .linearExact: .linearExact
                case .sigmoid: .sigmoid
                }
            options.window = Window(center: window.center, width: window.width, function: function)
        }
        if let viewport = request?.viewport, viewport.width * viewport.height <= maximumPixelCount {
            options.viewport = Viewport(
                width: viewport.width,
                height: viewport.height,
                region: Viewport.Region(
                    x: viewport.x,
                    y: viewport.y,
                    width: viewport.regionWidth,
                    height: viewport.regionHeight
                )
            )
        }
        return options
    }

    private static func seeds(_ files: [ByteBuffer]) -> [ByteBuffer] {
        let queries = [
            "", "window=40,400,linear&quality=90", "window=0.5,1e3,sigmoid", "window=1,1,linear-exact",
            "viewport=8,8", "viewport=8,4,1,1,2,-2", "viewport=8,8,,,,&annotation=patient&iccprofile=no",
        ]
        return queries.flatMap { query in images.map { seed(query, $0) } }
    }

    private static func seed(_ query: String, _ dataSet: DataSet) -> ByteBuffer {
        var seed = ByteBuffer(integer: UInt8(query.utf8.count))
        seed.writeString(query)
        // What can't be written would be a mistake of this file's.
        if let bytes = try? DataSetWriter.write(dataSet, transferSyntax: .explicitVRLittleEndian) {
            seed.writeImmutableBuffer(bytes)
        }
        return seed
    }

    private static func image(_ photometric: String, bits: Int, _ add: (inout DataSet) -> Void) -> DataSet {
        var dataSet = DataSet()
        let isColour = photometric != "PALETTE COLOR" && !photometric.hasPrefix("MONOCHROME")
        dataSet.set(.samplesPerPixel, .us, integers: [isColour ? 3 : 1])
        dataSet.set(.photometricInterpretation, .cs, photometric)
        dataSet.set(.rows, .us, integers: [4])
        dataSet.set(.columns, .us, integers: [3])
        dataSet.set(.bitsAllocated, .us, integers: [bits])
        dataSet.set(.bitsStored, .us, integers: [bits])
        dataSet.set(.highBit, .us, integers: [bits - 1])
        dataSet.set(.pixelRepresentation, .us, integers: [0])
        add(&dataSet)
        return dataSet
    }

    private static func table(_ dataSet: inout DataSet, data: UInt16, _ words: [Int], entries: Int, bits: Int) {
        for channel: UInt16 in 0..<3 {
            dataSet.set(Tag(0x0028, 0x1101 + channel), .us, integers: [entries, 0, bits])
            dataSet.set(Tag(0x0028, data + channel), .ow, words)
        }
    }

    private static var images: [DataSet] {
        [
            image("MONOCHROME2", bits: 16) { dataSet in
                dataSet.set(.windowCenter, .ds, "40\\100")
                dataSet.set(.windowWidth, .ds, "400\\10")
                dataSet.set(.rescaleSlope, .ds, "-1.5")
                dataSet.set(.rescaleIntercept, .ds, "1024")
                dataSet.set(.pixelPaddingValue, .us, integers: [7])
            },
            image("MONOCHROME1", bits: 8) { dataSet in
                var item = DataSet()
                item.set(.lutDescriptor, .us, integers: [4, 0, 12])
                item.set(.lutData, .ow, [0, 1000, 2000, 4095])
                dataSet.set(
                    DataElement(tag: Tag(0x0028, 0x3010), vr: .sq, value: .items([SequenceItem(item)]))
                )
            },
            image("RGB", bits: 8) { dataSet in dataSet.set(.planarConfiguration, .us, integers: [1]) },
            image("YBR_FULL_422", bits: 8) { dataSet in dataSet.set(.planarConfiguration, .us, integers: [0]) },
            image("PALETTE COLOR", bits: 8) { dataSet in
                self.table(&dataSet, data: 0x1201, [0, 255, 1000, 65535], entries: 4, bits: 16)
            },
            // A discrete segment, a line, and both again by reference.
            image("PALETTE COLOR", bits: 8) { dataSet in
                self.table(&dataSet, data: 0x1221, [0, 2, 10, 20, 1, 6, 65535, 2, 2, 0, 0], entries: 16, bits: 16)
            },
            image("PALETTE COLOR", bits: 8) { dataSet in
                self.table(&dataSet, data: 0x1221, [0x0200, 0x0A14, 0x0106, 0x02FF, 0x0002, 0], entries: 16, bits: 8)
            },
        ]
    }
}

extension DataSet {
    fileprivate mutating func set(_ tag: Tag, _ vr: VR, _ words: [Int]) {
        var bytes = ByteBuffer()
        for word in words { bytes.writeInteger(UInt16(truncatingIfNeeded: word), endianness: .little) }
        self.set(DataElement(tag: tag, vr: vr, value: .bytes(bytes)))
    }
}
