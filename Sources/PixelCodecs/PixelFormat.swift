// SPDX-License-Identifier: Apache-2.0

/// Photometric interpretation, as far as a lossless codec must know it.
public enum Photometric: Sendable, Hashable, CaseIterable {
    /// MONOCHROME1 and MONOCHROME2.
    case monochrome
    /// PALETTE COLOR: the indices are coded, the tables stay in the data set.
    case palette
    case rgb
    /// YBR_FULL with all samples present; carried as it is, without a transform.
    case ybrFull
    /// YBR_FULL_422 and the other subsampled kinds, which native frames pack in two samples a pixel.
    case ybrSubsampled
    /// Anything else. Such frames are decoded but never encoded.
    case other
}

/// The shape of one native frame: the Image Pixel module's numbers, nothing else of the data set.
///
/// Values are taken as they come; `PixelCodec.refusal(of:)` says what a codec can't carry. Native frames are
/// little endian, without padding between rows, samples or planes.
public struct PixelFormat: Sendable, Hashable {
    public var rows: Int
    public var columns: Int
    public var samplesPerPixel: Int
    public var bitsAllocated: Int
    public var bitsStored: Int
    public var highBit: Int
    /// Pixel Representation 1: two's complement.
    public var isSigned: Bool
    /// Planar Configuration 1: all of the first sample, then all of the second.
    public var isPlanar: Bool
    public var photometric: Photometric

    public init(
        rows: Int,
        columns: Int,
        samplesPerPixel: Int = 1,
        bitsAllocated: Int,
        bitsStored: Int,
        highBit: Int? = nil,
        isSigned: Bool = false,
        isPlanar: Bool = false,
        photometric: Photometric = .monochrome
    ) {
        self.rows = rows
        self.columns = columns
        self.samplesPerPixel = samplesPerPixel
        self.bitsAllocated = bitsAllocated
        self.bitsStored = bitsStored
        self.highBit = highBit ?? bitsStored - 1
        self.isSigned = isSigned
        self.isPlanar = isPlanar
        self.photometric = photometric
    }

    /// Bytes of one native frame (bits rounded up to whole bytes); `Int.max` where that passes an `Int`.
    public var frameByteCount: Int {
        var bits = rows
        for factor in [columns, samplesPerPixel, bitsAllocated] {
            let (product, overflow) = bits.multipliedReportingOverflow(by: factor)
            if overflow { return .max }
            bits = product
        }
        return bits < 0 ? 0 : bits / 8 + (bits % 8 == 0 ? 0 : 1)
    }

    /// Bytes of one sample; only where the format passed `shapeRefusal`.
    var sampleByteCount: Int { bitsAllocated / 8 }
    var pixelCount: Int { rows * columns }
    var sampleCount: Int { rows * columns * samplesPerPixel }
    /// Colour by plane: only then do planes and pixels differ.
    var hasPlanes: Bool { isPlanar && samplesPerPixel > 1 }

    /// Why no codec here can produce or take frames of this shape, or nil.
    var shapeRefusal: String? {
        guard (1...CodecLimits.maximumDimension).contains(rows), (1...CodecLimits.maximumDimension).contains(columns)
        else { return "rows and columns must be 1 to \(CodecLimits.maximumDimension), not \(rows) x \(columns)" }
        guard samplesPerPixel == 1 || samplesPerPixel == 3 else {
            return "\(samplesPerPixel) samples a pixel: only 1 and 3 are coded"
        }
        guard bitsAllocated == 8 || bitsAllocated == 16 || bitsAllocated == 32 else {
            return "\(bitsAllocated) bits allocated: only 8, 16 and 32 are coded"
        }
        guard (1...bitsAllocated).contains(bitsStored) else {
            return "\(bitsStored) bits stored in \(bitsAllocated) allocated"
        }
        guard frameByteCount <= CodecLimits.maximumFrameByteCount else {
            return "a frame of \(frameByteCount) bytes passes the cap of \(CodecLimits.maximumFrameByteCount)"
        }
        return nil
    }

    /// Why a frame of this format stays native, or nil when the codecs here can carry every bit of it.
    var encodingRefusal: String? {
        if let reason = shapeRefusal { return reason }
        guard (bitsStored - 1..<bitsAllocated).contains(highBit) else {
            return "high bit \(highBit) with \(bitsStored) of \(bitsAllocated) bits stored"
        }
        switch photometric {
        case .monochrome, .palette:
            return samplesPerPixel == 1 ? nil : "\(samplesPerPixel) samples a pixel in a grey or palette image"
        case .rgb, .ybrFull:
            return samplesPerPixel == 3 ? nil : "\(samplesPerPixel) sample a pixel in a colour image"
        case .ybrSubsampled:
            return "subsampled colour packs two samples a pixel"
        case .other:
            return "unknown photometric interpretation"
        }
    }
}
