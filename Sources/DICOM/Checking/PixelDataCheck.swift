// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// Checks the Image Pixel module (PS3.3 section C.7.6.3) against itself and against Pixel Data.
struct PixelDataCheck {
    let dataSet: DataSet
    let transferSyntax: TransferSyntax
    /// The whole path of an element of `dataSet`.
    let path: (Tag) -> String

    /// The value of Pixel Data, as far as it is at hand.
    private enum Value {
        case native(byteCount: Int)
        case encapsulated(EncapsulationCheck.Layout)
        /// Encapsulated, but not read.
        case unread
    }

    private struct Pixels {
        var tag: Tag
        var vr: VR
        var value: Value
        var offset: Int?
    }

    /// `location` is that of top-level Pixel Data that was not read as an element.
    func run(location: PixelDataLocation?, into report: inout CheckReport) {
        guard let pixels = self.pixels(location) else { return }
        let others = [Tag.floatPixelData, .doubleFloatPixelData].filter { self.dataSet[$0] != nil }
        if pixels.tag == .pixelData ? !others.isEmpty : others.count > 1 {
            report.add(
                .imagePixel,
                self.path(pixels.tag),
                "there is more than one kind of pixel data",
                offset: pixels.offset
            )
        }
        self.checkModule(pixels, &report)
        self.checkForm(pixels, &report)
        guard let image = try? ImagePixelDescription(self.dataSet) else { return }
        switch pixels.value {
        case .native(let byteCount): self.checkLength(byteCount, image, pixels, &report)
        case .encapsulated(let layout):
            let check = EncapsulationCheck(
                layout: layout,
                frameCount: image.numberOfFrames,
                transferSyntax: self.transferSyntax,
                dataSet: self.dataSet,
                path: self.path
            )
            check.run(&report)
        case .unread: break
        }
        self.checkLossy(&report)
    }

    private func pixels(_ location: PixelDataLocation?) -> Pixels? {
        for tag in [Tag.pixelData, .floatPixelData, .doubleFloatPixelData] {
            guard let element = self.dataSet[tag] else { continue }
            let value: Value
            switch element.value {
            case .bytes(let bytes): value = .native(byteCount: bytes.readableBytes)
            case .fragments(let fragments): value = .encapsulated(EncapsulationCheck.Layout(fragments, self.dataSet))
            case .items: return nil
            }
            return Pixels(tag: tag, vr: element.vr, value: value, offset: element.elementOffset)
        }
        guard let location else { return nil }
        let value: Value
        if let byteCount = location.byteCount {
            value = .native(byteCount: byteCount)
        } else {
            value = location.endOffset == nil ? .unread : .encapsulated(EncapsulationCheck.Layout(location))
        }
        return Pixels(tag: location.tag, vr: location.vr, value: value, offset: location.elementOffset)
    }

    // MARK: - The module

    private func checkModule(_ pixels: Pixels, _ report: inout CheckReport) {
        var required: [Tag] = [.samplesPerPixel, .photometricInterpretation, .rows, .columns, .bitsAllocated]
        if pixels.tag == .pixelData { required += [.bitsStored, .highBit, .pixelRepresentation] }
        let samples = self.dataSet.integer(.samplesPerPixel) ?? 1
        if samples > 1 { required.append(.planarConfiguration) }
        for tag in required where self.dataSet[tag]?.value.isEmpty != false {
            let name = DataDictionary.entry(for: tag)?.name ?? ""
            report.add(.imagePixel, self.path(tag), "\(name) is missing")
        }
        self.require(.rows, in: 1...65535, &report)
        self.require(.columns, in: 1...65535, &report)
        self.require(.pixelRepresentation, in: 0...1, &report)
        if samples > 1 { self.require(.planarConfiguration, in: 0...1, &report) }
        self.require(.numberOfFrames, in: 1...Int(Int32.max), &report)
        self.checkBits(pixels.tag, &report)
        self.checkPhotometric(samples, &report)
    }

    private func require(_ tag: Tag, in range: ClosedRange<Int>, _ report: inout CheckReport) {
        guard let value = self.dataSet.integer(tag), !range.contains(value) else { return }
        let name = DataDictionary.entry(for: tag)?.name ?? ""
        report.add(
            .imagePixel,
            self.path(tag),
            "\(name) is \(value), not in \(range.lowerBound) to \(range.upperBound)",
            offset: self.dataSet[tag]?.elementOffset
        )
    }

    private func checkBits(_ tag: Tag, _ report: inout CheckReport) {
        guard let allocated = self.dataSet.integer(.bitsAllocated) else { return }
        let offset = self.dataSet[.bitsAllocated]?.elementOffset
        let place = self.path(.bitsAllocated)
        if tag != .pixelData {
            let expected = tag == .floatPixelData ? 32 : 64
            if allocated != expected {
                report.add(.imagePixel, place, "Bits Allocated is \(allocated), not \(expected)", offset: offset)
            }
            return
        }
        // PS3.5 section 8.1.1: 1 or a multiple of 8.
        guard allocated == 1 || (allocated > 0 && allocated % 8 == 0) else {
            report.add(
                .imagePixel,
                place,
                "Bits Allocated is \(allocated), neither 1 nor a multiple of 8",
                offset: offset
            )
            return
        }
        guard let stored = self.dataSet.integer(.bitsStored) else { return }
        guard stored >= 1, stored <= allocated else {
            report.add(
                .imagePixel,
                self.path(.bitsStored),
                "Bits Stored is \(stored), not in 1 to \(allocated)",
                offset: self.dataSet[.bitsStored]?.elementOffset
            )
            return
        }
        guard let high = self.dataSet.integer(.highBit), high != stored - 1 else { return }
        let isPossible = high >= stored - 1 && high < allocated
        report.add(
            isPossible ? .highBit : .imagePixel,
            self.path(.highBit),
            "High Bit is \(high), not one less than Bits Stored, \(stored)",
            offset: self.dataSet[.highBit]?.elementOffset
        )
    }

    private func checkPhotometric(_ samples: Int, _ report: inout CheckReport) {
        guard let name = self.dataSet.string(.photometricInterpretation) else { return }
        let expected: [Int]
        switch name {
        case "MONOCHROME1", "MONOCHROME2", "PALETTE COLOR": expected = [1]
        case "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT", "HSV",
            "XYB":
            expected = [3]
        case "ARGB", "CMYK": expected = [4]
        default:
            report.add(
                .imagePixel,
                self.path(.photometricInterpretation),
                "Photometric Interpretation is no term of the standard",
                offset: self.dataSet[.photometricInterpretation]?.elementOffset
            )
            return
        }
        if self.dataSet[.samplesPerPixel] != nil, !expected.contains(samples) {
            report.add(
                .imagePixel,
                self.path(.samplesPerPixel),
                "Samples per Pixel is \(samples), which \(name) does not have",
                offset: self.dataSet[.samplesPerPixel]?.elementOffset
            )
        }
        guard name == "PALETTE COLOR" else { return }
        // Descriptors and data of red, green and blue, in full or segmented.
        for colour in 0..<3 as Range<UInt16> {
            let descriptor = Tag(0x0028, 0x1101 + colour)
            if self.dataSet[descriptor] == nil {
                report.add(.paletteMissing, self.path(descriptor), "the palette's descriptor is missing")
            }
            if self.dataSet[Tag(0x0028, 0x1201 + colour)] == nil, self.dataSet[Tag(0x0028, 0x1221 + colour)] == nil {
                report.add(.paletteMissing, self.path(Tag(0x0028, 0x1201 + colour)), "the palette's data is missing")
            }
        }
    }

    // MARK: - The value

    private func checkForm(_ pixels: Pixels, _ report: inout CheckReport) {
        let isNative = if case .native = pixels.value { true } else { false }
        let place = self.path(pixels.tag)
        if isNative, self.transferSyntax.isEncapsulated, !place.contains("[") {
            report.add(
                .encapsulation,
                place,
                "Pixel Data is native, but the transfer syntax is \(self.transferSyntax.name)",
                offset: pixels.offset
            )
        } else if !isNative, !self.transferSyntax.isEncapsulated {
            report.add(
                .encapsulation,
                place,
                "Pixel Data is encapsulated, but the transfer syntax is \(self.transferSyntax.name)",
                offset: pixels.offset
            )
        }
        guard pixels.tag == .pixelData, pixels.vr != .un else { return }
        if !isNative, pixels.vr != .ob {
            report.add(
                .pixelDataVR,
                place,
                "encapsulated Pixel Data has VR \(pixels.vr), not OB",
                offset: pixels.offset
            )
        } else if isNative, pixels.vr == .ob, self.dataSet.encoding.isExplicitVR,
            let allocated = self.dataSet.integer(.bitsAllocated), allocated > 8
        {
            report.add(
                .pixelDataVR,
                place,
                "native Pixel Data of \(allocated) bits has VR OB, not OW",
                offset: pixels.offset
            )
        }
    }

    private func checkLength(
        _ byteCount: Int,
        _ image: ImagePixelDescription,
        _ pixels: Pixels,
        _ report: inout CheckReport
    ) {
        let expected = image.pixelDataByteCount
        guard expected < Int.max - 1 else { return }
        let place = self.path(pixels.tag)
        let need = image.numberOfFrames == 1 ? "one frame needs" : "\(image.numberOfFrames) frames need"
        if byteCount < expected {
            report.add(
                .pixelDataShort,
                place,
                "Pixel Data has \(byteCount) bytes; \(need) \(expected)",
                offset: pixels.offset
            )
        } else if byteCount > expected + expected % 2 {
            report.add(
                .pixelDataLong,
                place,
                "Pixel Data has \(byteCount) bytes; \(need) \(expected)",
                offset: pixels.offset
            )
        }
    }

    /// Syntaxes that can't be without loss must say so.
    private func checkLossy(_ report: inout CheckReport) {
        let uid = self.transferSyntax.uid.string
        let isLossy =
            uid == "1.2.840.10008.1.2.4.50" || uid == "1.2.840.10008.1.2.4.51"
            || EncapsulationCheck.isVideo(self.transferSyntax)
        guard isLossy, self.dataSet.string(Tag(0x0028, 0x2110)) != "01" else { return }
        report.add(
            .lossyCompression,
            self.path(Tag(0x0028, 0x2110)),
            "Lossy Image Compression is not 01, though \(self.transferSyntax.name) always loses"
        )
    }
}
