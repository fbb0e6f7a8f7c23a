// SPDX-License-Identifier: Apache-2.0

import COpenJPH
import NIOCore

/// High-throughput JPEG 2000 reversible (ISO 15444-15), encoded through OpenJPH: the only file that calls it.
///
/// Precision and sign are chosen as for JPEG 2000, whose codec also decodes: OpenJPH 0.9 trusts the streams it reads
/// and is shown none but those that this process has just encoded (`matches`).
///
/// The limits are those of OpenJPH 0.9, Debian's, which is linked where deploy/lib/build_openjph.sh cannot fetch the
/// newer one. Its streams are not reproducible either: what lies behind a row in its memory decides whether a block of
/// zeros is written. They decode alike.
enum HTJ2KCodec {
    /// The most bits a sample, the colour transform's one more included, that OpenJPH 0.9 writes and OpenJPEG reads.
    ///
    /// The wavelet adds three bits. With 27 OpenJPEG decodes no block; from 29 an exponent passes QCD's five bits and
    /// OpenJPH's assertions, which Debian's build has, end the process.
    static let maximumPrecision = 26

    /// The most bits that OpenJPH 0.9 decodes without fail, counted alike.
    ///
    /// Its block decoder cuts a magnitude's length short where the neighbouring one takes 21 bits or more (mended in
    /// 0.17). With three bits of the wavelet, 17 never need that many; frames with more are proven by OpenJPEG.
    static let maximumFreshPrecision = 17

    static func encode(
        _ frame: ByteBuffer,
        format: PixelFormat,
        options: PixelCodec.EncodingOptions,
        scratch: CodecScratch
    ) throws(CodecError) -> ByteBuffer {
        var shape = try shape(of: frame, format: format, options: options)
        let sink = HTJ2KSink(scratch.stream)
        var byteCount = 0
        var message = Message()
        let status = frame.withUnsafeReadableBytes { samples in
            guard let base = samples.baseAddress else { return VARVE_HTJ2K_FAILED }
            return withExtendedLifetime(sink) {
                message.receive { text, capacity in
                    varve_htj2k_encode(
                        &shape,
                        base,
                        { HTJ2KSink.grow($0, $1) },
                        Unmanaged.passUnretained(sink).toOpaque(),
                        &byteCount,
                        text,
                        capacity
                    )
                }
            }
        }
        switch status {
        case VARVE_HTJ2K_OK: break
        case VARVE_HTJ2K_NO_MEMORY: throw CodecError(.outOfMemory, "OpenJPH could not encode: \(message.text)")
        default: throw CodecError(.libraryFailure, "OpenJPH could not encode: \(message.text)")
        }
        var encoded = ByteBufferAllocator().buffer(capacity: byteCount)
        encoded.writeBytes(UnsafeRawBufferPointer(rebasing: sink.memory[..<byteCount]))
        return encoded
    }

    /// Whether a stream that this process has just encoded with the same options decodes to `frame`.
    ///
    /// - Returns: nil when only OpenJPEG can tell.
    static func matches(
        _ encoded: ByteBuffer,
        _ frame: ByteBuffer,
        format: PixelFormat,
        options: PixelCodec.EncodingOptions
    ) throws(CodecError) -> Bool? {
        var shape = try shape(of: frame, format: format, options: options)
        guard shape.precision + (shape.uses_colour_transform ? 1 : 0) <= maximumFreshPrecision else { return nil }
        var message = Message()
        let status = frame.withUnsafeReadableBytes { samples in
            encoded.withUnsafeReadableBytes { bytes in
                guard let base = samples.baseAddress, let start = bytes.baseAddress, bytes.count > 0 else {
                    return VARVE_HTJ2K_DIFFERENT
                }
                return message.receive { varve_htj2k_compare(&shape, base, start, bytes.count, $0, $1) }
            }
        }
        switch status {
        case VARVE_HTJ2K_OK: return true
        case VARVE_HTJ2K_DIFFERENT: return false
        case VARVE_HTJ2K_NO_MEMORY: throw CodecError(.outOfMemory, "OpenJPH could not decode: \(message.text)")
        default: throw CodecError(.libraryFailure, "OpenJPH could not decode: \(message.text)")
        }
    }

    private static func shape(
        of frame: ByteBuffer,
        format: PixelFormat,
        options: PixelCodec.EncodingOptions
    ) throws(CodecError) -> varve_htj2k_frame {
        var shape = varve_htj2k_frame()
        shape.rows = UInt32(format.rows)
        shape.columns = UInt32(format.columns)
        shape.components = UInt32(format.samplesPerPixel)
        shape.sample_byte_count = UInt32(format.sampleByteCount)
        shape.precision = UInt32(
            try JPEG2000Codec.precision(of: frame, format: format, options: options, maximum: maximumPrecision)
        )
        shape.is_signed = format.isSigned
        shape.is_planar = format.hasPlanes
        shape.uses_colour_transform = options.usesReversibleColourTransform
        // One at least: what OpenJPH 0.32 encodes without any (a frame one pixel wide) comes back as other samples.
        shape.decompositions = UInt32(max(1, JPEG2000Codec.resolutionCount(format) - 1))
        return shape
    }

    /// Room for what the library says.
    private struct Message {
        private var characters = [CChar](repeating: 0, count: 200)

        mutating func receive(
            _ call: (UnsafeMutablePointer<CChar>, Int) -> varve_htj2k_status
        ) -> varve_htj2k_status {
            characters.withUnsafeMutableBufferPointer { buffer in
                guard let base = buffer.baseAddress else { return VARVE_HTJ2K_FAILED }
                return call(base, buffer.count)
            }
        }

        var text: String {
            String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
                .filter { !$0.isNewline }
        }
    }
}

/// Memory for an encoded stream, of a thread's scratch buffer; must outlive the call that fills it.
private final class HTJ2KSink {
    private let buffer: ScratchBuffer
    private(set) var memory = UnsafeMutableRawBufferPointer(start: nil, count: 0)

    init(_ buffer: ScratchBuffer) { self.buffer = buffer }

    static func grow(_ context: UnsafeMutableRawPointer?, _ byteCount: Int) -> UnsafeMutableRawPointer? {
        guard let context, byteCount <= 4 * CodecLimits.maximumFrameByteCount else { return nil }
        let sink = Unmanaged<HTJ2KSink>.fromOpaque(context).takeUnretainedValue()
        guard let memory = sink.buffer.grow(to: byteCount) else { return nil }
        sink.memory = memory
        return memory.baseAddress
    }
}
