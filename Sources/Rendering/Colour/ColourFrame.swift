// SPDX-License-Identifier: Apache-2.0

import DICOM
import NIOCore

/// A native frame of three samples a pixel, made RGB of 8 bits by pixel.
enum ColourFrame {
    /// `photometric` is what the samples are, which decoding may have changed from what the data set says.
    static func rgb(
        _ frame: ByteBuffer,
        _ description: ImagePixelDescription,
        photometric: String
    ) throws(RenderingError) -> [UInt8] {
        let count = description.rows * description.columns
        switch photometric {
        case "RGB":
            let samples = try samples(frame, description)
            return samples
        case "YBR_FULL":
            var samples = try samples(frame, description)
            for index in stride(from: 0, to: 3 * count, by: 3) {
                (samples[index], samples[index + 1], samples[index + 2]) = ColourConversion.full(
                    samples[index],
                    samples[index + 1],
                    samples[index + 2]
                )
            }
            return samples
        case "YBR_FULL_422":
            return try subsampled(frame, description, ColourConversion.full)
        case "YBR_PARTIAL_422":
            return try subsampled(frame, description, ColourConversion.partial)
        default:
            throw RenderingError(.unsupported, "images in \(photometric) are not rendered")
        }
    }

    /// All samples by pixel, with their upper 8 of the Bits Stored.
    private static func samples(
        _ frame: ByteBuffer,
        _ description: ImagePixelDescription
    ) throws(RenderingError) -> [UInt8] {
        let pixelCount = description.rows * description.columns
        let width = description.bitsAllocated / 8
        guard description.bitsAllocated == 8 || description.bitsAllocated == 16 || description.bitsAllocated == 32
        else {
            throw RenderingError(.unsupported, "colour of \(description.bitsAllocated) bits a sample is not rendered")
        }
        guard frame.readableBytes >= 3 * pixelCount * width else { throw Self.isShort }
        let shift = description.highBit - 7
        let (step, next) = description.isPlanar ? (1, pixelCount) : (3, 1)
        var samples = [UInt8](repeating: 0, count: 3 * pixelCount)
        unsafe frame.withUnsafeReadableBytes { bytes in
            for pixel in 0..<pixelCount {
                for channel in 0..<3 {
                    let offset = (pixel * step + channel * next) * width
                    let value: UInt32 =
                        switch width {
                        case 1: unsafe UInt32(bytes[offset])
                        case 2:
                            unsafe UInt32(
                                UInt16(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self))
                            )
                        default:
                            unsafe UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
                        }
                    samples[3 * pixel + channel] = UInt8(
                        truncatingIfNeeded: shift >= 0 ? value >> UInt32(shift) : value << UInt32(-shift)
                    )
                }
            }
        }
        return samples
    }

    /// Two pixels share their chroma: Y1, Y2, Cb, Cr.
    private static func subsampled(
        _ frame: ByteBuffer,
        _ description: ImagePixelDescription,
        _ convert: (UInt8, UInt8, UInt8) -> (UInt8, UInt8, UInt8)
    ) throws(RenderingError) -> [UInt8] {
        guard description.bitsAllocated == 8, description.columns % 2 == 0 else {
            throw RenderingError(.unsupported, "subsampled colour is rendered with 8 bits a sample and even rows only")
        }
        let count = description.rows * description.columns
        guard frame.readableBytes >= 2 * count else { throw Self.isShort }
        var samples: [UInt8] = []
        samples.reserveCapacity(3 * count)
        unsafe frame.withUnsafeReadableBytes { bytes in
            for offset in stride(from: 0, to: 2 * count, by: 4) {
                for pixel in 0..<2 {
                    let (red, green, blue) = unsafe convert(bytes[offset + pixel], bytes[offset + 2], bytes[offset + 3])
                    samples.append(red)
                    samples.append(green)
                    samples.append(blue)
                }
            }
        }
        return samples
    }

    private static let isShort = RenderingError(.damaged, "the frame has fewer bytes than its description says")
}
