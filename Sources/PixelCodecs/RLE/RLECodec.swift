// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// RLE Lossless (PS3.5 annex G): one PackBits segment for each byte of each sample, most significant byte first.
///
/// Frames are native ones of either planar configuration; RLE itself has none, its segments are always planes. Every
/// allocated bit is carried, whatever Bits Stored and High Bit say. Frames of one bit a sample are coded as their
/// packed bytes, in one segment.
package enum RLECodec {
    /// Offsets in the header (G.5): a frame has no more segments.
    static let maximumSegmentCount = 15
    static let headerByteCount = 64

    /// Why RLE cannot carry frames of `format`, or nil when it can.
    package static func refusal(of format: PixelFormat) -> String? {
        guard (1...CodecLimits.maximumDimension).contains(format.rows),
            (1...CodecLimits.maximumDimension).contains(format.columns)
        else {
            return
                "rows and columns must be 1 to \(CodecLimits.maximumDimension), not \(format.rows) x \(format.columns)"
        }
        guard format.bitsAllocated == 1 || (format.bitsAllocated % 8 == 0 && (8...64).contains(format.bitsAllocated))
        else { return "\(format.bitsAllocated) bits allocated: RLE codes 1 or whole bytes" }
        guard (1...maximumSegmentCount).contains(format.samplesPerPixel),
            format.bitsAllocated > 1 || format.samplesPerPixel == 1,
            format.samplesPerPixel * max(1, format.bitsAllocated / 8) <= maximumSegmentCount
        else {
            return "\(format.samplesPerPixel) samples of \(format.bitsAllocated) bits need more than "
                + "\(maximumSegmentCount) RLE segments"
        }
        guard format.frameByteCount <= CodecLimits.maximumFrameByteCount else {
            return "a frame of \(format.frameByteCount) bytes passes the cap of \(CodecLimits.maximumFrameByteCount)"
        }
        return nil
    }

    /// Encodes one native frame; the stream has an even byte count, as a fragment must.
    package static func encode(
        _ frame: ByteBuffer,
        format: PixelFormat,
        scratch: CodecScratch
    ) throws(CodecError) -> ByteBuffer {
        if let reason = refusal(of: format) { throw CodecError(.unsupported, reason) }
        guard format.photometric != .ybrSubsampled else {
            throw CodecError(.unsupported, "subsampled colour packs two samples a pixel")
        }
        guard frame.readableBytes == format.frameByteCount else {
            throw CodecError(
                .invalidInput,
                "a frame of \(frame.readableBytes) bytes where its format has \(format.frameByteCount)"
            )
        }
        let layout = RLELayout(format)
        let segmentBound = PackBits.maximumEncodedByteCount(
            rowByteCount: layout.rowByteCount,
            rowCount: layout.rowCount
        )
        let plane = try scratch.layout.reserve(layout.segmentByteCount)
        let output = try scratch.stream.reserve(headerByteCount + layout.segmentCount * (segmentBound + 1))
        UnsafeMutableRawBufferPointer(rebasing: output[..<headerByteCount]).initializeMemory(
            as: UInt8.self,
            repeating: 0
        )
        output.storeBytes(of: UInt32(layout.segmentCount), as: UInt32.self)
        var offset = headerByteCount
        for segment in 0..<layout.segmentCount {
            output.storeBytes(of: UInt32(offset), toByteOffset: 4 + 4 * segment, as: UInt32.self)
            let source = frame.withUnsafeReadableBytes { bytes in
                layout.gather(segment, from: bytes, into: plane)
                return UnsafeRawBufferPointer(plane)
            }
            offset += PackBits.encode(
                source,
                rowByteCount: layout.rowByteCount,
                into: UnsafeMutableRawBufferPointer(rebasing: output[offset...])
            )
            if offset % 2 == 1 {
                output[offset] = 0
                offset += 1
            }
        }
        var encoded = ByteBufferAllocator().buffer(capacity: offset)
        encoded.writeBytes(UnsafeRawBufferPointer(rebasing: output[..<offset]))
        return encoded
    }

    /// Decodes `encoded` into the native layout of `format`.
    ///
    /// - Throws: `.mismatch` for a sound header that describes another frame, `.corruptStream` for a segment that
    ///   yields too few bytes. Bytes that a segment has left over are ignored: writers pad.
    package static func decode(
        _ encoded: ByteBuffer,
        format: PixelFormat,
        into destination: UnsafeMutableRawBufferPointer,
        scratch: CodecScratch
    ) throws(CodecError) {
        if let reason = refusal(of: format) { throw CodecError(.unsupported, reason) }
        precondition(destination.count == format.frameByteCount, "the destination was made for this frame")
        let layout = RLELayout(format)
        let failure = encoded.withUnsafeReadableBytes { bytes -> CodecError? in
            do throws(CodecError) {
                let segments = try RLEHeader.segments(of: bytes, expected: layout.segmentCount)
                for (index, range) in segments.enumerated() {
                    let byteCount = PackBits.decode(bytes, range, into: destination, layout.strip(index))
                    guard byteCount == layout.segmentByteCount else {
                        throw CodecError(
                            .corruptStream,
                            "RLE segment \(index + 1) of \(layout.segmentCount) yields \(byteCount) bytes "
                                + "instead of \(layout.segmentByteCount)"
                        )
                    }
                }
                return nil
            } catch {
                return error
            }
        }
        if let failure { throw failure }
    }
}

/// Where the bytes of a frame's segments lie in its native layout.
struct RLELayout {
    let segmentCount: Int
    let segmentByteCount: Int
    /// Runs do not cross rows when we encode (G.3.1).
    let rowByteCount: Int
    let rowCount: Int
    private let sampleByteCount: Int
    private let sampleStart: Int
    private let stride: Int

    /// `format` passed `RLECodec.refusal(of:)`.
    init(_ format: PixelFormat) {
        guard format.bitsAllocated > 1 else {
            // Rows of single bits need not begin on byte boundaries: the frame is one row of bytes.
            (segmentCount, segmentByteCount) = (1, format.frameByteCount)
            (rowByteCount, rowCount) = (format.frameByteCount, 1)
            (sampleByteCount, sampleStart, stride) = (1, 0, 1)
            return
        }
        sampleByteCount = format.bitsAllocated / 8
        segmentCount = format.samplesPerPixel * sampleByteCount
        segmentByteCount = format.rows * format.columns
        (rowByteCount, rowCount) = (format.columns, format.rows)
        sampleStart = format.hasPlanes ? segmentByteCount * sampleByteCount : sampleByteCount
        stride = format.hasPlanes ? sampleByteCount : sampleByteCount * format.samplesPerPixel
    }

    /// The bytes of one segment in the frame: every `stride`-th from `start`, `count` of them.
    struct Strip {
        let start: Int
        let stride: Int
        let count: Int
    }

    func strip(_ segment: Int) -> Strip {
        let (sample, byte) = segment.quotientAndRemainder(dividingBy: sampleByteCount)
        // Segments begin with the most significant byte (G.2); native samples are little endian.
        return Strip(
            start: sample * sampleStart + sampleByteCount - 1 - byte,
            stride: stride,
            count: segmentByteCount
        )
    }

    func gather(_ segment: Int, from frame: UnsafeRawBufferPointer, into plane: UnsafeMutableRawBufferPointer) {
        let strip = strip(segment)
        if strip.stride == 1 {
            plane.copyMemory(from: UnsafeRawBufferPointer(rebasing: frame[strip.start..<strip.start + strip.count]))
            return
        }
        precondition(
            plane.count >= strip.count && frame.count > strip.start + (strip.count - 1) * strip.stride,
            "the layout was made for this frame"
        )
        guard let source = frame.baseAddress, let target = plane.baseAddress else { return }
        for index in 0..<strip.count {
            let byte = source.load(fromByteOffset: strip.start &+ index &* strip.stride, as: UInt8.self)
            target.storeBytes(of: byte, toByteOffset: index, as: UInt8.self)
        }
    }
}

/// The 64 bytes before the segments (PS3.5 G.5).
enum RLEHeader {
    /// The byte range of each segment, in the order of the header.
    ///
    /// A segment ends where the next one in the stream begins, or with the stream; their order there is free.
    static func segments(of bytes: UnsafeRawBufferPointer, expected: Int) throws(CodecError) -> [Range<Int>] {
        guard bytes.count > RLECodec.headerByteCount else {
            throw CodecError(.corruptStream, "an RLE frame of \(bytes.count) bytes has no room for header and data")
        }
        func word(_ index: Int) -> Int {
            Int(bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self))
        }
        let count = word(0)
        guard (1...RLECodec.maximumSegmentCount).contains(count) else {
            throw CodecError(.corruptStream, "an RLE header that claims \(count) segments")
        }
        guard count == expected else {
            throw CodecError(.mismatch, "an RLE frame of \(count) segments where its format has \(expected)")
        }
        let offsets = (1...count).map(word)
        for (index, offset) in offsets.enumerated() {
            guard (RLECodec.headerByteCount..<bytes.count).contains(offset) else {
                throw CodecError(
                    .corruptStream,
                    "RLE segment \(index + 1) of \(count) begins at byte \(offset) of \(bytes.count)"
                )
            }
        }
        let sorted = offsets.sorted()
        for (offset, next) in zip(sorted, sorted.dropFirst()) where offset == next {
            throw CodecError(.corruptStream, "two RLE segments begin at byte \(offset)")
        }
        return offsets.map { offset in offset..<(sorted.first { $0 > offset } ?? bytes.count) }
    }
}
