// SPDX-License-Identifier: Apache-2.0

import CJPEGShim
package import NIOCore

/// JPEG baseline and extended (ISO 10918-1 processes 1, 2 and 4, transfer syntaxes .50 and .51): decoding.
///
/// Streams of 8 bits go through libjpeg-turbo, the only file that calls it; those of 12 bits, which Debian's build of
/// it cannot read, through `JPEGSequentialDecoder`. What the marker segments claim is checked before either.
///
/// Colour: the samples of a stream are RGB or YCbCr, and the data set's photometric interpretation is often wrong about
/// it. `Colour.stored` leaves them as they are, chroma brought to full resolution: what pydicom gives with `raw=True`
/// and through `as_buffer`, where it says YBR_FULL_422 but has three samples a pixel. `Colour.rgb` converts YCbCr with
/// the equations of JFIF, which are those of YBR_FULL (PS3.3 C.7.6.3.1.2): pydicom's default for pixel arrays, to one
/// level because it rounds at another place.
package enum JPEGDCTCodec {
    /// What the decoded samples of a colour stream shall be.
    package enum Colour: Sendable, Hashable, CaseIterable {
        /// The stream's own colour model, unchanged.
        case stored
        /// RGB, converted where the stream holds YCbCr.
        case rgb
    }

    /// What libjpeg may keep of a stream of several scans: two bytes a sample until the last scan was read.
    private static let maximumCoefficientByteCount = 384 << 20

    /// Decodes `encoded` into the native layout of `format`, all samples of each pixel present.
    ///
    /// - Returns: what the samples in `destination` are: `.rgb` or `.ybrFull` for colour, else the format's own.
    @discardableResult
    package static func decode(
        _ encoded: ByteBuffer,
        format: PixelFormat,
        colour: Colour = .stored,
        into destination: UnsafeMutableRawBufferPointer,
        scratch: CodecScratch
    ) throws(CodecError) -> Photometric {
        if let reason = format.shapeRefusal { throw CodecError(.unsupported, reason) }
        precondition(destination.count == format.frameByteCount, "the destination was made for this frame")
        let result = encoded.withUnsafeReadableBytes { bytes in
            Result { () throws(CodecError) in
                let stream = try JPEGStream(walking: bytes)
                return try decode(stream, bytes, format, colour, into: destination, scratch)
            }
        }
        return try result.get()
    }

    private static func decode(
        _ stream: JPEGStream,
        _ bytes: UnsafeRawBufferPointer,
        _ format: PixelFormat,
        _ colour: Colour,
        into destination: UnsafeMutableRawBufferPointer,
        _ scratch: CodecScratch
    ) throws(CodecError) -> Photometric {
        guard stream.process != .lossless else {
            throw CodecError(.mismatch, "a JPEG stream of process lossless where one of the DCT is expected")
        }
        try stream.check(against: format)
        let stored = storedColour(of: stream, format)
        let converts = colour == .rgb && stored == .ybrFull
        switch (stream.process, stream.precision) {
        case (_, 8): try decodeBytes(stream, bytes, format, converts: converts, into: destination, scratch)
        case (.extended, 12):
            try JPEGSequentialDecoder(stream, bytes, format)
                .decode(into: destination, convertsToRGB: converts, scratch)
        default:
            throw CodecError(.unsupported, "JPEG of process \(stream.process) with \(stream.precision) bits")
        }
        stream.extendSigns(of: destination, format)
        return converts ? .rgb : stored
    }

    /// What the samples of a colour stream are; nil for a stream that can't be read, or has another number of components.
    static func storedColour(of encoded: ByteBuffer, format: PixelFormat) -> Photometric? {
        let stream = encoded.withUnsafeReadableBytes { bytes in
            Result { () throws(CodecError) in try JPEGStream(walking: bytes) }
        }
        guard case .success(let stream) = stream, stream.components.count == 3 else { return nil }
        return storedColour(of: stream, format)
    }

    /// What the stream's samples are, by the best evidence there is.
    ///
    /// Component identifiers R, G, B and a JFIF segment decide as they do for pydicom, then the Adobe segment, which
    /// the encoder wrote; the data set comes last, since it may describe the image before it was encoded.
    private static func storedColour(of stream: JPEGStream, _ format: PixelFormat) -> Photometric {
        guard stream.components.count == 3 else { return format.photometric }
        let identifiers = stream.components.map(\.identifier)
        if identifiers == [0x52, 0x47, 0x42] || identifiers == [0x72, 0x67, 0x62] { return .rgb }
        if stream.hasJFIF { return .ybrFull }
        if let transform = stream.adobeTransform { return transform == 0 ? .rgb : .ybrFull }
        return format.photometric == .rgb ? .rgb : .ybrFull
    }

    // MARK: - libjpeg-turbo

    private static func decodeBytes(
        _ stream: JPEGStream,
        _ bytes: UnsafeRawBufferPointer,
        _ format: PixelFormat,
        converts: Bool,
        into destination: UnsafeMutableRawBufferPointer,
        _ scratch: CodecScratch
    ) throws(CodecError) {
        let isDirect = format.sampleByteCount == 1 && !format.hasPlanes
        let output = isDirect ? destination : try scratch.layout.reserve(format.sampleCount)
        var source = UnsafeRawBufferPointer(rebasing: bytes[..<stream.byteCount])
        if stream.hasLateRows {
            // The library does not know DNL: tell it in SOF.
            let copy = try scratch.stream.reserve(stream.byteCount)
            copy.copyMemory(from: source)
            copy[stream.rowsOffset] = UInt8(stream.rows >> 8)
            copy[stream.rowsOffset + 1] = UInt8(stream.rows & 0xFF)
            source = UnsafeRawBufferPointer(copy)
        }
        try run(source, format, converts: converts, into: output)
        if !isDirect {
            SampleLayout.copy(
                UnsafeRawBufferPointer(output),
                sampleByteCount: 1,
                into: destination,
                format: format,
                change: format.hasPlanes ? .toPlanar : .none
            )
        }
    }

    private static func run(
        _ source: UnsafeRawBufferPointer,
        _ format: PixelFormat,
        converts: Bool,
        into output: UnsafeMutableRawBufferPointer
    ) throws(CodecError) {
        guard let start = source.baseAddress, let target = output.baseAddress else {
            throw CodecError(.corruptStream, "an empty JPEG stream")
        }
        let (status, message) = withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { text in
            text.initialize(repeating: 0)
            let status = varve_jpeg_decode(
                start.assumingMemoryBound(to: UInt8.self),
                source.count,
                UInt32(format.rows),
                UInt32(format.columns),
                Int32(format.samplesPerPixel),
                Int32(converts ? VARVE_JPEG_YCBCR_TO_RGB : VARVE_JPEG_AS_STORED),
                maximumCoefficientByteCount,
                target.assumingMemoryBound(to: UInt8.self),
                text.baseAddress,
                text.count
            )
            let bytes = text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }
            return (Int(status), String(decoding: bytes, as: UTF8.self))
        }
        switch status {
        case Int(VARVE_JPEG_SUCCESS): return
        case Int(VARVE_JPEG_TOO_LARGE):
            throw CodecError(
                .limitExceeded,
                "a JPEG stream of several scans whose coefficients pass the cap of "
                    + "\(maximumCoefficientByteCount) bytes"
            )
        case Int(VARVE_JPEG_NO_MEMORY): throw CodecError(.outOfMemory, "libjpeg could not decode: \(message)")
        case Int(VARVE_JPEG_DISAGREES):
            throw CodecError(.corruptStream, "a damaged JPEG stream: libjpeg reads another image in it")
        default: throw CodecError(.corruptStream, "libjpeg could not decode: \(message)")
        }
    }
}
