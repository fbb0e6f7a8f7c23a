// SPDX-License-Identifier: Apache-2.0

import COpenJPEG
import NIOCore

/// JPEG 2000 reversible through OpenJPEG.
///
/// Unlike JPEG-LS it is told the sign. Signed samples that are sign extended from Bits Stored, as they nearly always
/// are, are coded with that precision and come back sign extended; signed samples with anything else in the upper bits
/// are coded as numbers of Bits Allocated. Unsigned samples take Bits Stored when no bit above is set.
enum JPEG2000Codec {
    /// The most bits a sample, the colour transform's one more included, that OpenJPEG carries without loss.
    ///
    /// Its encoder shifts coefficients, to which the wavelet adds up to three bits, by six bits of fraction in an Int32:
    /// from 24 bits a checkerboard comes back changed.
    static let maximumPrecision = 23

    static func encode(
        _ frame: ByteBuffer,
        format: PixelFormat,
        options: PixelCodec.EncodingOptions,
        scratch: CodecScratch
    ) throws(CodecError) -> ByteBuffer {
        let precision = try Self.precision(of: frame, format: format, options: options, maximum: maximumPrecision)
        let image = try makeImage(frame, format: format, precision: precision)
        defer { opj_image_destroy(image) }
        guard let codec = opj_create_compress(OPJ_CODEC_J2K) else { throw outOfMemory("an encoder") }
        defer { opj_destroy_codec(codec) }
        let errors = OpenJPEGErrors()
        errors.listen(to: codec)

        var parameters = opj_cparameters_t()
        opj_set_default_encoder_parameters(&parameters)
        parameters.tcp_numlayers = 1
        parameters.tcp_rates.0 = 0  // lossless
        parameters.cp_disto_alloc = 1
        parameters.irreversible = 0
        parameters.numresolution = resolutionCount(format)
        parameters.tcp_mct = options.usesReversibleColourTransform ? 1 : 0
        let sink = MemorySink(scratch.stream)
        guard let stream = sink.makeStream() else { throw outOfMemory("a stream") }
        defer { opj_stream_destroy(stream) }
        let succeeded = withExtendedLifetime((errors, sink)) {
            opj_setup_encoder(codec, &parameters, image) != 0 && opj_start_compress(codec, image, stream) != 0
                && opj_encode(codec, stream) != 0 && opj_end_compress(codec, stream) != 0
        }
        guard succeeded, let bytes = sink.bytes else {
            throw CodecError(.libraryFailure, "OpenJPEG could not encode: \(errors.firstMessage)")
        }
        var encoded = ByteBufferAllocator().buffer(capacity: bytes.count)
        encoded.writeBytes(bytes)
        return encoded
    }

    static func decode(
        _ encoded: ByteBuffer,
        format: PixelFormat,
        into destination: UnsafeMutableRawBufferPointer
    ) throws(CodecError) {
        let result = encoded.withUnsafeReadableBytes { bytes in
            Result { () throws(CodecError) in try decode(bytes, format: format, into: destination) }
        }
        try result.get()
    }

    private static func decode(
        _ bytes: UnsafeRawBufferPointer,
        format: PixelFormat,
        into destination: UnsafeMutableRawBufferPointer
    ) throws(CodecError) {
        let header = try JPEG2000Stream(walking: bytes)
        try header.check(against: format)
        if let corrected = header.corrected(bytes) {
            let result = corrected.withUnsafeBytes { corrected in
                Result { () throws(CodecError) in
                    try decode(corrected, header: header, format: format, into: destination)
                }
            }
            try result.get()
        } else {
            let codestream = UnsafeRawBufferPointer(rebasing: bytes[header.range])
            try decode(codestream, header: header, format: format, into: destination)
        }
    }

    private static func decode(
        _ codestream: UnsafeRawBufferPointer,
        header: JPEG2000Stream,
        format: PixelFormat,
        into destination: UnsafeMutableRawBufferPointer
    ) throws(CodecError) {
        let image = try OpenJPEGImage(decoding: codestream)
        try image.withImage { image throws(CodecError) in
            try copySamples(of: image, header: header, format: format, into: destination)
        }
    }

    // MARK: - Choices

    /// Bits a sample in the stream: Bits Stored where no bit above it says more, else Bits Allocated.
    ///
    /// - Throws: `.unsupported` when that, with the bit that the colour transform adds, passes `maximum`.
    static func precision(
        of frame: ByteBuffer,
        format: PixelFormat,
        options: PixelCodec.EncodingOptions,
        maximum: Int
    ) throws(CodecError) -> Int {
        let precision = frame.withUnsafeReadableBytes { Self.precision(of: $0, format: format) }
        guard precision + (options.usesReversibleColourTransform ? 1 : 0) <= maximum else {
            throw CodecError(.unsupported, "bits above the \(format.bitsStored) stored are in use, of 32 allocated")
        }
        return precision
    }

    /// Why no frame of `format` can be carried with `maximum` bits a sample, or nil.
    static func refusal(of format: PixelFormat, options: PixelCodec.EncodingOptions, maximum: Int) -> String? {
        let isAtBottom = format.highBit == format.bitsStored - 1
        let least = (isAtBottom ? format.bitsStored : format.bitsAllocated)
        let limit = options.usesReversibleColourTransform ? maximum - 1 : maximum
        return least <= limit ? nil : "\(least) bits a sample pass the codec's \(limit)"
    }

    private static func precision(of frame: UnsafeRawBufferPointer, format: PixelFormat) -> Int {
        let (stored, allocated) = (format.bitsStored, format.bitsAllocated)
        guard stored < allocated else { return allocated }
        guard format.highBit == stored - 1 else { return allocated }
        if format.isSigned {
            return SampleScan.isSignExtended(frame, bitsStored: stored, bitsAllocated: allocated) ? stored : allocated
        }
        return SampleScan.significantBits(frame, bitsAllocated: allocated) <= stored ? stored : allocated
    }

    /// Six resolutions, or as many as the shorter side can be halved into.
    static func resolutionCount(_ format: PixelFormat) -> Int32 {
        let shorter = min(format.rows, format.columns)
        return Int32(min(6, Int.bitWidth - shorter.leadingZeroBitCount))
    }

    // MARK: - Samples

    private static func makeImage(
        _ frame: ByteBuffer,
        format: PixelFormat,
        precision: Int
    ) throws(CodecError) -> UnsafeMutablePointer<opj_image_t> {
        var component = opj_image_cmptparm_t()
        component.dx = 1
        component.dy = 1
        component.w = UInt32(format.columns)
        component.h = UInt32(format.rows)
        component.prec = UInt32(precision)
        component.sgnd = format.isSigned ? 1 : 0
        var components = Array(repeating: component, count: format.samplesPerPixel)
        let space =
            switch format.photometric {
            case .rgb: OPJ_CLRSPC_SRGB
            case .ybrFull: OPJ_CLRSPC_SYCC
            default: OPJ_CLRSPC_GRAY
            }
        guard let image = opj_image_create(UInt32(components.count), &components, space) else {
            throw outOfMemory("an image")
        }
        image.pointee.x1 = UInt32(format.columns)
        image.pointee.y1 = UInt32(format.rows)
        frame.withUnsafeReadableBytes { source in
            for index in 0..<format.samplesPerPixel {
                guard let target = image.pointee.comps[index].data else { continue }
                switch (format.sampleByteCount, format.isSigned) {
                case (1, false): load(source, UInt8.self, sample: index, format: format, into: target)
                case (1, true): load(source, Int8.self, sample: index, format: format, into: target)
                case (2, false): load(source, UInt16.self, sample: index, format: format, into: target)
                case (2, true): load(source, Int16.self, sample: index, format: format, into: target)
                case (_, _): load(source, Int32.self, sample: index, format: format, into: target)
                }
            }
        }
        return image
    }

    /// Where a component's samples lie in a native frame: the first one's index and the step to the next.
    private static func lattice(_ sample: Int, _ format: PixelFormat) -> (first: Int, step: Int) {
        format.hasPlanes ? (sample * format.pixelCount, 1) : (sample, format.samplesPerPixel)
    }

    @inline(__always)
    private static func load<Sample: FixedWidthInteger & BitwiseCopyable>(
        _ source: UnsafeRawBufferPointer,
        _: Sample.Type,
        sample: Int,
        format: PixelFormat,
        into target: UnsafeMutablePointer<Int32>
    ) {
        let (first, step) = lattice(sample, format)
        let width = MemoryLayout<Sample>.size
        let count = format.pixelCount
        precondition(source.count >= (first + (count - 1) * step + 1) * width, "the frame's size was checked")
        if step == 1 {
            for index in 0..<count {
                let offset = (first &+ index) &* width
                target[index] = Int32(truncatingIfNeeded: source.loadUnaligned(fromByteOffset: offset, as: Sample.self))
            }
        } else {
            for index in 0..<count {
                let offset = (first &+ index &* step) &* width
                target[index] = Int32(truncatingIfNeeded: source.loadUnaligned(fromByteOffset: offset, as: Sample.self))
            }
        }
    }

    private static func copySamples(
        of image: opj_image_t,
        header: JPEG2000Stream,
        format: PixelFormat,
        into destination: UnsafeMutableRawBufferPointer
    ) throws(CodecError) {
        // Negative numbers in an unsigned format keep their stored bits only.
        let mask =
            header.isSigned && !format.isSigned ? Int32(bitPattern: UInt32.max >> UInt32(32 - header.precision)) : -1
        guard Int(image.numcomps) == format.samplesPerPixel else {
            throw CodecError(.mismatch, "OpenJPEG decoded \(image.numcomps) components")
        }
        for index in 0..<format.samplesPerPixel {
            let component = image.comps[index]
            guard let data = component.data, component.w == format.columns, component.h == format.rows,
                component.prec <= format.bitsAllocated
            else { throw CodecError(.mismatch, "OpenJPEG decoded a component of another size") }
            let (first, step) = lattice(index, format)
            switch format.sampleByteCount {
            case 1: store(data, mask, format.pixelCount, first, step, into: destination, UInt8.self)
            case 2: store(data, mask, format.pixelCount, first, step, into: destination, UInt16.self)
            default: store(data, mask, format.pixelCount, first, step, into: destination, UInt32.self)
            }
        }
    }

    @inline(__always)
    private static func store<Sample: FixedWidthInteger & BitwiseCopyable>(
        _ data: UnsafeMutablePointer<Int32>,
        _ mask: Int32,
        _ count: Int,
        _ first: Int,
        _ step: Int,
        into destination: UnsafeMutableRawBufferPointer,
        _: Sample.Type
    ) {
        let width = MemoryLayout<Sample>.size
        precondition(destination.count >= (first + (count - 1) * step + 1) * width, "the frame's size was checked")
        for index in 0..<count {
            destination.storeBytes(
                of: Sample(truncatingIfNeeded: data[index] & mask),
                toByteOffset: (first &+ index &* step) &* width,
                as: Sample.self
            )
        }
    }

    private static func outOfMemory(_ what: String) -> CodecError {
        CodecError(.outOfMemory, "OpenJPEG could not allocate \(what)")
    }
}
