// SPDX-License-Identifier: Apache-2.0

/// The Image Pixel module (PS3.3 section C.7.6.3), as far as the layout of pixel data goes, checked.
public struct ImagePixelDescription: Hashable, Sendable {
    public var rows: Int
    public var columns: Int
    public var samplesPerPixel: Int
    public var bitsAllocated: Int
    public var bitsStored: Int
    public var highBit: Int
    /// 0 unsigned, 1 two's complement.
    public var pixelRepresentation: Int
    /// 0 by pixel, 1 by plane.
    public var planarConfiguration: Int
    /// As written: `MONOCHROME2`, `RGB`, `YBR_FULL_422`, ...
    public var photometricInterpretation: String
    public var numberOfFrames: Int

    public static let maximumFrameCount = 10_000_000

    public var isSigned: Bool { self.pixelRepresentation == 1 }
    public var isPlanar: Bool { self.planarConfiguration == 1 && self.samplesPerPixel > 1 }
    public var isPalette: Bool { self.photometricInterpretation == "PALETTE COLOR" }

    /// Reads and checks the module.
    ///
    /// Float and Double Float Pixel Data have no Bits Stored, High Bit or Pixel Representation: those default to all
    /// bits and unsigned.
    /// - Throws: code `.invalidImage`, naming the attribute.
    public init(_ dataSet: DataSet) throws(DICOMError) {
        self.rows = try Self.value(dataSet, .rows, in: 1...65535)
        self.columns = try Self.value(dataSet, .columns, in: 1...65535)
        self.samplesPerPixel = try Self.value(dataSet, .samplesPerPixel, in: 1...16, default: 1)
        self.bitsAllocated = try Self.value(dataSet, .bitsAllocated, in: 1...64)
        guard self.bitsAllocated == 1 || self.bitsAllocated % 8 == 0 || self.bitsAllocated == 12 else {
            throw DICOMError(.invalidImage, "Bits Allocated is \(self.bitsAllocated)", at: .bitsAllocated)
        }
        self.bitsStored = try Self.value(
            dataSet,
            .bitsStored,
            in: 1...self.bitsAllocated,
            default: self.bitsAllocated
        )
        self.highBit = try Self.value(
            dataSet,
            .highBit,
            in: (self.bitsStored - 1)...(self.bitsAllocated - 1),
            default: self.bitsStored - 1
        )
        self.pixelRepresentation = try Self.value(dataSet, .pixelRepresentation, in: 0...1, default: 0)
        self.planarConfiguration = try Self.value(dataSet, .planarConfiguration, in: 0...1, default: 0)
        self.photometricInterpretation = dataSet.string(.photometricInterpretation) ?? "MONOCHROME2"
        self.numberOfFrames = try Self.value(dataSet, .numberOfFrames, in: 0...Self.maximumFrameCount, default: 1)
        if self.numberOfFrames == 0 { self.numberOfFrames = 1 }
    }

    /// Bits of one native frame.
    ///
    /// Chroma is shared in YBR_FULL_422: two samples a pixel (PS3.3 section C.7.6.3.1.2).
    public var frameBitCount: Int {
        let samples: Int
        switch self.photometricInterpretation {
        case "YBR_FULL_422", "YBR_PARTIAL_422":
            samples = self.rows * self.columns * (self.samplesPerPixel == 3 ? 2 : self.samplesPerPixel)
        case "YBR_PARTIAL_420":
            samples = self.rows * self.columns * (self.samplesPerPixel == 3 ? 3 : self.samplesPerPixel * 2) / 2
        default: samples = self.rows * self.columns * self.samplesPerPixel
        }
        return samples * self.bitsAllocated
    }

    /// Bytes of one native frame, rounded up.
    ///
    /// With 1-bit pixels frames need not start on bytes: see `framesAreAligned`.
    public var frameByteCount: Int { (self.frameBitCount + 7) / 8 }

    /// True when each frame starts on a byte, so that frames may be cut out by multiplication.
    public var framesAreAligned: Bool { self.numberOfFrames == 1 || self.frameBitCount % 8 == 0 }

    /// Bytes of all frames as native Pixel Data holds them, without padding.
    public var pixelDataByteCount: Int {
        let (bits, overflow) = self.frameBitCount.multipliedReportingOverflow(by: self.numberOfFrames)
        return overflow ? Int.max : (bits + 7) / 8
    }

    private static func value(
        _ dataSet: DataSet,
        _ tag: Tag,
        in range: ClosedRange<Int>,
        default standard: Int? = nil
    ) throws(DICOMError) -> Int {
        let name = DataDictionary.entry(for: tag)?.name ?? tag.description
        guard let value = dataSet.integer(tag) else {
            if let standard { return standard }
            throw DICOMError(.invalidImage, "\(name) is missing", at: tag)
        }
        guard range.contains(value) else {
            throw DICOMError(
                .invalidImage,
                "\(name) is \(value), not in \(range.lowerBound) to \(range.upperBound)",
                at: tag
            )
        }
        return value
    }
}
