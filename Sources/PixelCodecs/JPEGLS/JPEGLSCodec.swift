// SPDX-License-Identifier: Apache-2.0

import CCharLS
import NIOCore

/// JPEG-LS lossless through CharLS's C functions: the only file that calls them.
///
/// JPEG-LS is blind to sign: samples are bit patterns. The stream's precision is Bits Stored when no bit above it is
/// set and the high bit is where the stored bits end, else Bits Allocated; readers take any precision between the two,
/// and either way all allocated bits come back. Signed samples of a stream whose precision is less than Bits Allocated
/// are sign extended when decoded, as viewers expect of native data; so signed frames with negative samples are encoded
/// at Bits Allocated, where nothing is extended, and other readers see the very bits too.
enum JPEGLSCodec {
    /// Why no frame of `format` can be carried, or nil.
    static func refusal(of format: PixelFormat, options: PixelCodec.EncodingOptions) -> String? {
        if options.usesReversibleColourTransform { return "JPEG-LS has no colour transform" }
        return format.bitsAllocated <= 16 ? nil : "JPEG-LS has at most 16 bits a sample"
    }

    static func encode(
        _ frame: ByteBuffer,
        format: PixelFormat,
        scratch: CodecScratch
    ) throws(CodecError) -> ByteBuffer {
        var info = charls_frame_info()
        info.width = UInt32(format.columns)
        info.height = UInt32(format.rows)
        info.component_count = Int32(format.samplesPerPixel)
        let precision = frame.withUnsafeReadableBytes { Self.precision(of: $0, format: format) }
        guard !hasMisleadingSigns(frame, format: format, precision: precision) else {
            throw CodecError(.unsupported, "signed samples whose upper bits are no sign read differently when decoded")
        }
        info.bits_per_sample = Int32(precision)

        // Noise can grow by more than the library's estimate; the worst code is 4 bytes a sample.
        var capacity = format.frameByteCount + 4_096
        while true {
            let destination = try scratch.stream.reserve(capacity)
            let (status, byteCount) = frame.withUnsafeReadableBytes { source in
                encode(source, info, mode(for: format), into: destination)
            }
            if status == CHARLS_JPEGLS_ERRC_SUCCESS {
                var encoded = ByteBufferAllocator().buffer(capacity: byteCount)
                encoded.writeBytes(UnsafeRawBufferPointer(rebasing: destination[..<byteCount]))
                return encoded
            }
            guard status == CHARLS_JPEGLS_ERRC_DESTINATION_BUFFER_TOO_SMALL, capacity <= format.sampleCount * 8 else {
                throw error(status, "encode")
            }
            capacity *= 2
        }
    }

    static func decode(
        _ encoded: ByteBuffer,
        format: PixelFormat,
        into destination: UnsafeMutableRawBufferPointer,
        scratch: CodecScratch
    ) throws(CodecError) {
        let stream = try encoded.withUnsafeReadableBytes { bytes in
            Result { () throws(CodecError) in try JPEGLSStream(walking: bytes) }
        }.get()
        try stream.check(against: format)

        let isDirect = stream.sampleByteCount == format.sampleByteCount && stream.hasPlanes == format.hasPlanes
        let output =
            isDirect ? destination : try scratch.layout.reserve(format.sampleCount * stream.sampleByteCount)
        var status = encoded.withUnsafeReadableBytes { decode($0, stream, stream.byteCount, into: output) }
        if status != CHARLS_JPEGLS_ERRC_SUCCESS,
            let (mended, byteCount) = try mend(encoded, byteCount: stream.byteCount, scratch: scratch)
        {
            status = decode(UnsafeRawBufferPointer(mended), stream, byteCount, into: output)
        }
        guard status == CHARLS_JPEGLS_ERRC_SUCCESS else { throw error(status, "decode") }
        if !isDirect {
            SampleLayout.copy(
                UnsafeRawBufferPointer(output),
                sampleByteCount: stream.sampleByteCount,
                into: destination,
                format: format,
                change: stream.hasPlanes == format.hasPlanes ? .none : format.hasPlanes ? .toPlanar : .toInterleaved
            )
        }
        if format.isSigned, stream.precision < format.bitsAllocated {
            SampleLayout.extendSign(destination, precision: stream.precision, sampleByteCount: format.sampleByteCount)
        }
    }

    // MARK: - Choices

    private static func precision(of frame: UnsafeRawBufferPointer, format: PixelFormat) -> Int {
        // CharLS keeps samples of 8 bits and less in one byte, so two allocated bytes need 9.
        let least = format.bitsAllocated == 16 ? 9 : 2
        guard format.bitsStored < format.bitsAllocated, format.highBit == format.bitsStored - 1 else {
            return format.bitsAllocated
        }
        let needed = SampleScan.significantBits(frame, bitsAllocated: format.bitsAllocated) + (format.isSigned ? 1 : 0)
        return needed <= format.bitsStored ? max(least, format.bitsStored) : format.bitsAllocated
    }

    /// Whether other readers would see other numbers: they extend the sign from Bits Stored when they decode JPEG-LS,
    /// but take native samples as they are, with what is in the upper bits.
    private static func hasMisleadingSigns(_ frame: ByteBuffer, format: PixelFormat, precision: Int) -> Bool {
        guard format.isSigned, format.bitsStored < format.bitsAllocated, format.highBit == format.bitsStored - 1,
            precision == format.bitsAllocated
        else { return false }
        return frame.withUnsafeReadableBytes {
            !SampleScan.isSignExtended($0, bitsStored: format.bitsStored, bitsAllocated: format.bitsAllocated)
        }
    }

    /// Planes are coded as they lie, one scan each; pixels by line, which CharLS has its fastest code for.
    private static func mode(for format: PixelFormat) -> charls_interleave_mode {
        format.samplesPerPixel == 1 || format.isPlanar ? CHARLS_INTERLEAVE_MODE_NONE : CHARLS_INTERLEAVE_MODE_LINE
    }

    /// Some old encoders wrote a zero byte between the coded data and EOI, which CharLS 2.4.1 refuses.
    private static func mend(
        _ encoded: ByteBuffer,
        byteCount: Int,
        scratch: CodecScratch
    ) throws(CodecError) -> (UnsafeMutableRawBufferPointer, Int)? {
        let start = encoded.readerIndex
        guard byteCount > 4, encoded.getInteger(at: start + byteCount - 3, as: UInt8.self) == 0 else { return nil }
        let copy = try scratch.stream.reserve(byteCount - 1)
        encoded.withUnsafeReadableBytes { bytes in
            copy.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<(byteCount - 3)]))
        }
        copy[byteCount - 3] = 0xFF
        copy[byteCount - 2] = 0xD9
        return (copy, byteCount - 1)
    }

    // MARK: - The library

    private static func encode(
        _ source: UnsafeRawBufferPointer,
        _ info: charls_frame_info,
        _ mode: charls_interleave_mode,
        into destination: UnsafeMutableRawBufferPointer
    ) -> (charls_jpegls_errc, Int) {
        guard let encoder = charls_jpegls_encoder_create(), let source = source.baseAddress.map({ ($0, source.count) })
        else { return (CHARLS_JPEGLS_ERRC_NOT_ENOUGH_MEMORY, 0) }
        defer { charls_jpegls_encoder_destroy(encoder) }
        var info = info
        var status = charls_jpegls_encoder_set_frame_info(encoder, &info)
        guard status == CHARLS_JPEGLS_ERRC_SUCCESS else { return (status, 0) }
        status = charls_jpegls_encoder_set_interleave_mode(encoder, mode)
        guard status == CHARLS_JPEGLS_ERRC_SUCCESS else { return (status, 0) }
        guard let start = destination.baseAddress else { return (CHARLS_JPEGLS_ERRC_NOT_ENOUGH_MEMORY, 0) }
        status = charls_jpegls_encoder_set_destination_buffer(encoder, start, destination.count)
        guard status == CHARLS_JPEGLS_ERRC_SUCCESS else { return (status, 0) }
        status = charls_jpegls_encoder_encode_from_buffer(encoder, source.0, source.1, 0)
        guard status == CHARLS_JPEGLS_ERRC_SUCCESS else { return (status, 0) }
        var byteCount = 0
        status = charls_jpegls_encoder_get_bytes_written(encoder, &byteCount)
        return (status, byteCount)
    }

    private static func decode(
        _ bytes: UnsafeRawBufferPointer,
        _ stream: JPEGLSStream,
        _ byteCount: Int,
        into destination: UnsafeMutableRawBufferPointer
    ) -> charls_jpegls_errc {
        guard let decoder = charls_jpegls_decoder_create(), let source = bytes.baseAddress,
            let start = destination.baseAddress
        else { return CHARLS_JPEGLS_ERRC_NOT_ENOUGH_MEMORY }
        defer { charls_jpegls_decoder_destroy(decoder) }
        var status = charls_jpegls_decoder_set_source_buffer(decoder, source, byteCount)
        guard status == CHARLS_JPEGLS_ERRC_SUCCESS else { return status }
        var spiff = charls_spiff_header()
        var found = Int32(0)
        status = charls_jpegls_decoder_read_spiff_header(decoder, &spiff, &found)
        guard status == CHARLS_JPEGLS_ERRC_SUCCESS else { return status }
        status = charls_jpegls_decoder_read_header(decoder)
        guard status == CHARLS_JPEGLS_ERRC_SUCCESS else { return status }
        // The library must have understood what the walk over the segments did.
        var info = charls_frame_info()
        var needed = 0
        guard charls_jpegls_decoder_get_frame_info(decoder, &info) == CHARLS_JPEGLS_ERRC_SUCCESS,
            info.width == stream.columns, info.height == stream.rows,
            info.component_count == stream.componentCount, info.bits_per_sample == stream.precision,
            charls_jpegls_decoder_get_destination_size(decoder, 0, &needed) == CHARLS_JPEGLS_ERRC_SUCCESS,
            needed == destination.count
        else { return CHARLS_JPEGLS_ERRC_INVALID_ENCODED_DATA }
        return charls_jpegls_decoder_decode_to_buffer(decoder, start, destination.count, 0)
    }

    private static func error(_ status: charls_jpegls_errc, _ verb: String) -> CodecError {
        let reason = charls_get_error_message(status).map { String(cString: $0) } ?? "error \(status.rawValue)"
        switch status {
        case CHARLS_JPEGLS_ERRC_NOT_ENOUGH_MEMORY:
            return CodecError(.outOfMemory, "CharLS could not \(verb): \(reason)")
        case CHARLS_JPEGLS_ERRC_UNEXPECTED_FAILURE:
            return CodecError(.libraryFailure, "CharLS could not \(verb): \(reason)")
        default:
            return CodecError(
                verb == "decode" ? .corruptStream : .libraryFailure,
                "CharLS could not \(verb): \(reason)"
            )
        }
    }
}
