// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// The codecs of DICOM's encapsulated frames, called in place on the calling thread.
///
/// All of them decode; those in ``encoders`` encode, without loss.
///
/// Encoding and decoding block for milliseconds and want a large stack: servers go through `CodecPool`. The
/// functions here are for its threads, benchmarks and tests. They never trap on what a stream or frame holds.
public enum PixelCodec: Sendable, Hashable, CaseIterable {
    /// JPEG-LS lossless (ISO 14495-1, NEAR 0) through CharLS.
    case jpegLS
    /// JPEG 2000 reversible (ISO 15444-1, 5/3 wavelet) through OpenJPEG.
    case jpeg2000
    /// High-throughput JPEG 2000 reversible (ISO 15444-15) through OpenJPH, decoded by OpenJPEG.
    case htj2k
    /// RLE Lossless (PS3.5 annex G).
    case rle
    /// JPEG lossless (ISO 10918-1 process 14): decoded only.
    case jpegLossless
    /// JPEG baseline and extended (ISO 10918-1 processes 1, 2 and 4), decoded only: always lossy.
    case jpeg

    /// The codecs that encode, all of them without loss.
    public static let encoders: [PixelCodec] = [.jpegLS, .jpeg2000, .htj2k, .rle]

    /// Choices that change the encoded stream but never the pixels.
    public struct EncodingOptions: Sendable, Hashable {
        /// The reversible colour transform of JPEG 2000 and HTJ2K, for RGB only; JPEG-LS has none.
        ///
        /// The stream is then YBR_RCT and the data set must say so.
        public var usesReversibleColourTransform: Bool

        public init(usesReversibleColourTransform: Bool = false) {
            self.usesReversibleColourTransform = usesReversibleColourTransform
        }
    }

    /// Why this codec cannot carry frames of `format` (they stay native), or nil when it can.
    public func refusal(of format: PixelFormat, options: EncodingOptions = .init()) -> String? {
        if let reason = format.encodingRefusal { return reason }
        if options.usesReversibleColourTransform, format.photometric != .rgb {
            return "the reversible colour transform is for RGB only"
        }
        switch self {
        case .jpegLS:
            return JPEGLSCodec.refusal(of: format, options: options)
        case .jpeg2000:
            return JPEG2000Codec.refusal(of: format, options: options, maximum: JPEG2000Codec.maximumPrecision)
        case .htj2k:
            return JPEG2000Codec.refusal(of: format, options: options, maximum: HTJ2KCodec.maximumPrecision)
        case .rle:
            return options.usesReversibleColourTransform ? "RLE has no colour transform" : RLECodec.refusal(of: format)
        case .jpegLossless, .jpeg:
            return "\(self) is decoded only"
        }
    }

    /// Encodes one native frame so that `decode` gives back every allocated bit.
    ///
    /// - Throws: `.unsupported` where `refusal` has a reason, `.invalidInput` for a wrong byte count.
    public func encode(
        _ frame: ByteBuffer,
        format: PixelFormat,
        options: EncodingOptions = .init(),
        scratch: CodecScratch = CodecScratch()
    ) throws(CodecError) -> ByteBuffer {
        if let reason = refusal(of: format, options: options) { throw CodecError(.unsupported, reason) }
        try Self.check(frame, format)
        switch self {
        case .jpegLS: return try JPEGLSCodec.encode(frame, format: format, scratch: scratch)
        case .jpeg2000: return try JPEG2000Codec.encode(frame, format: format, options: options, scratch: scratch)
        case .htj2k: return try HTJ2KCodec.encode(frame, format: format, options: options, scratch: scratch)
        case .rle: return try RLECodec.encode(frame, format: format, scratch: scratch)
        case .jpegLossless, .jpeg: throw CodecError(.unsupported, "\(self) is decoded only")
        }
    }

    /// Decodes one frame into the native layout of `format` (planar configuration included).
    ///
    /// The stream is not trusted: one that disagrees with the format is refused before the library decodes it.
    public func decode(
        _ encoded: ByteBuffer,
        format: PixelFormat,
        scratch: CodecScratch = CodecScratch()
    ) throws(CodecError) -> ByteBuffer {
        if let reason = format.shapeRefusal { throw CodecError(.unsupported, reason) }
        let byteCount = format.frameByteCount
        var frame = ByteBufferAllocator().buffer(capacity: byteCount)
        var failure: CodecError?
        frame.writeWithUnsafeMutableBytes(minimumWritableBytes: byteCount) { destination in
            do throws(CodecError) {
                try decode(
                    encoded,
                    format: format,
                    into: UnsafeMutableRawBufferPointer(rebasing: destination[..<byteCount]),
                    scratch: scratch
                )
                return byteCount
            } catch {
                failure = error
                return 0
            }
        }
        if let failure { throw failure }
        return frame
    }

    /// Decodes `encoded` and compares it with the native `frame`, byte for byte.
    ///
    /// - Returns: false when the stream decodes to anything else, a stream that does not decode included.
    /// - Throws: only when nothing can be said: wrong format or byte count, no memory.
    public func prove(
        _ encoded: ByteBuffer,
        equals frame: ByteBuffer,
        format: PixelFormat,
        scratch: CodecScratch = CodecScratch()
    ) throws(CodecError) -> Bool {
        if let reason = format.shapeRefusal { throw CodecError(.unsupported, reason) }
        try Self.check(frame, format)
        let byteCount = format.frameByteCount
        let decoded = try scratch.frame.reserve(byteCount)
        do throws(CodecError) {
            try decode(encoded, format: format, into: decoded, scratch: scratch)
        } catch {
            if error.code == .corruptStream || error.code == .mismatch { return false }
            throw error
        }
        return frame.withUnsafeReadableBytes { Memory.areEqual($0, decoded) }
    }

    /// `prove` for a stream that this process has just encoded with `options`, from memory that nothing else writes.
    ///
    /// Streams from outside or from a disk must not come here: HTJ2K is then decoded by OpenJPH, which is faster
    /// than OpenJPEG but trusts what it reads. The others are proven as always.
    public func proveFresh(
        _ encoded: ByteBuffer,
        equals frame: ByteBuffer,
        format: PixelFormat,
        options: EncodingOptions = .init(),
        scratch: CodecScratch = CodecScratch()
    ) throws(CodecError) -> Bool {
        if self == .htj2k {
            if let reason = refusal(of: format, options: options) { throw CodecError(.unsupported, reason) }
            try Self.check(frame, format)
            if let isEqual = try HTJ2KCodec.matches(encoded, frame, format: format, options: options) { return isEqual }
        }
        return try prove(encoded, equals: frame, format: format, scratch: scratch)
    }

    private func decode(
        _ encoded: ByteBuffer,
        format: PixelFormat,
        into destination: UnsafeMutableRawBufferPointer,
        scratch: CodecScratch
    ) throws(CodecError) {
        switch self {
        case .jpegLS: try JPEGLSCodec.decode(encoded, format: format, into: destination, scratch: scratch)
        case .jpeg2000, .htj2k: try JPEG2000Codec.decode(encoded, format: format, into: destination)
        case .rle: try RLECodec.decode(encoded, format: format, into: destination, scratch: scratch)
        case .jpegLossless: try JPEGLosslessCodec.decode(encoded, format: format, into: destination, scratch: scratch)
        case .jpeg: try JPEGDCTCodec.decode(encoded, format: format, into: destination, scratch: scratch)
        }
    }

    /// What the samples are that `decode` gives of a colour frame; nil where the data set is to be believed.
    ///
    /// JPEG streams hold RGB or YCbCr whatever the data set says; the transforms of JPEG 2000 are undone.
    public func decodedPhotometric(of encoded: ByteBuffer, format: PixelFormat) -> Photometric? {
        self == .jpeg ? JPEGDCTCodec.storedColour(of: encoded, format: format) : nil
    }

    private static func check(_ frame: ByteBuffer, _ format: PixelFormat) throws(CodecError) {
        guard frame.readableBytes == format.frameByteCount else {
            throw CodecError(
                .invalidInput,
                "a frame of \(frame.readableBytes) bytes where its format has \(format.frameByteCount)"
            )
        }
    }
}
