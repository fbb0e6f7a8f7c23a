// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Comparing and copying raw bytes.
enum Memory {
    static func areEqual(_ left: UnsafeRawBufferPointer, _ right: UnsafeMutableRawBufferPointer) -> Bool {
        guard left.count == right.count else { return false }
        guard left.count > 0, let a = left.baseAddress, let b = right.baseAddress else { return true }
        return memcmp(a, b, left.count) == 0
    }
}

/// What the sample values of a frame need, found in one pass over its bytes.
///
/// "Dirty" bits above Bits Stored (overlays, rubbish, sign extension) count: lossless means every allocated bit.
enum SampleScan {
    /// How many low bits hold all ones of all samples (0 when every sample is 0).
    static func significantBits(_ frame: UnsafeRawBufferPointer, bitsAllocated: Int) -> Int {
        bitWidth(of: reduce(frame, adding: 0, bitsAllocated: bitsAllocated))
    }

    /// Whether all samples are sign-extended two's complement numbers of `bitsStored` bits.
    static func isSignExtended(_ frame: UnsafeRawBufferPointer, bitsStored: Int, bitsAllocated: Int) -> Bool {
        // x is in -half ..< half exactly when x + half, modulo the allocated bits, has no bit above the stored ones.
        let half = UInt32(1) << UInt32(bitsStored - 1)
        return bitWidth(of: reduce(frame, adding: half, bitsAllocated: bitsAllocated)) <= bitsStored
    }

    private static func bitWidth(of bits: UInt32) -> Int { UInt32.bitWidth - bits.leadingZeroBitCount }

    /// The OR of all samples, each with `bias` added modulo its width.
    private static func reduce(_ frame: UnsafeRawBufferPointer, adding bias: UInt32, bitsAllocated: Int) -> UInt32 {
        switch bitsAllocated {
        case 8: UInt32(reduce(frame, adding: UInt8(truncatingIfNeeded: bias)))
        case 16: UInt32(reduce(frame, adding: UInt16(truncatingIfNeeded: bias)))
        default: reduce(frame, adding: bias)
        }
    }

    /// A plain loop over concrete integers, which LLVM turns into vector code; `SIMD` types came out 100 times slower.
    @inline(__always)
    private static func reduce<Sample: FixedWidthInteger & BitwiseCopyable>(
        _ frame: UnsafeRawBufferPointer,
        adding bias: Sample
    ) -> Sample {
        var result = Sample(0)
        for index in 0..<frame.count / MemoryLayout<Sample>.size {
            result |= frame.loadUnaligned(fromByteOffset: index &* MemoryLayout<Sample>.size, as: Sample.self) &+ bias
        }
        return result
    }
}

/// Changes of sample layout: planes against pixels, one byte a sample against two and four.
enum SampleLayout {
    enum Change {
        case none
        case toPlanar
        case toInterleaved
    }

    /// Copies a frame from `source` to `destination`, changing its layout and widening its samples where they differ.
    static func copy(
        _ source: UnsafeRawBufferPointer,
        sampleByteCount sourceWidth: Int,
        into destination: UnsafeMutableRawBufferPointer,
        format: PixelFormat,
        change: Change
    ) {
        // A frame of `rows` by `columns` samples, turned: the same loop serves both directions; one row is a copy.
        let (rows, columns) =
            switch change {
            case .none: (1, format.sampleCount)
            case .toPlanar: (format.pixelCount, format.samplesPerPixel)
            case .toInterleaved: (format.samplesPerPixel, format.pixelCount)
            }
        switch (sourceWidth, format.sampleByteCount) {
        case (1, 1): turn(source, UInt8.self, into: destination, UInt8.self, rows: rows, columns: columns)
        case (1, 2): turn(source, UInt8.self, into: destination, UInt16.self, rows: rows, columns: columns)
        case (2, 2): turn(source, UInt16.self, into: destination, UInt16.self, rows: rows, columns: columns)
        case (1, _): turn(source, UInt8.self, into: destination, UInt32.self, rows: rows, columns: columns)
        case (2, _): turn(source, UInt16.self, into: destination, UInt32.self, rows: rows, columns: columns)
        case (_, _): turn(source, UInt32.self, into: destination, UInt32.self, rows: rows, columns: columns)
        }
    }

    /// Spreads each sample's highest bit of `precision` over the bits above it.
    static func extendSign(_ frame: UnsafeMutableRawBufferPointer, precision: Int, sampleByteCount: Int) {
        switch sampleByteCount {
        case 1: extendSign(frame, by: Int8(8 - precision))
        case 2: extendSign(frame, by: Int16(16 - precision))
        default: extendSign(frame, by: Int32(32 - precision))
        }
    }

    @inline(__always)
    private static func extendSign<Sample: FixedWidthInteger & BitwiseCopyable>(
        _ frame: UnsafeMutableRawBufferPointer,
        by shift: Sample
    ) {
        let width = MemoryLayout<Sample>.size
        for index in 0..<frame.count / width {
            let sample = frame.loadUnaligned(fromByteOffset: index &* width, as: Sample.self)
            frame.storeBytes(of: (sample &<< shift) &>> shift, toByteOffset: index &* width, as: Sample.self)
        }
    }

    @inline(__always)
    private static func turn<Source: FixedWidthInteger & BitwiseCopyable, Target: FixedWidthInteger & BitwiseCopyable>(
        _ source: UnsafeRawBufferPointer,
        _: Source.Type,
        into destination: UnsafeMutableRawBufferPointer,
        _: Target.Type,
        rows: Int,
        columns: Int
    ) {
        let (sourceWidth, targetWidth) = (MemoryLayout<Source>.size, MemoryLayout<Target>.size)
        precondition(
            source.count >= rows * columns * sourceWidth && destination.count >= rows * columns * targetWidth,
            "the buffers were made for this frame"
        )
        for row in 0..<rows {
            for column in 0..<columns {
                let offset = (row &* columns &+ column) &* sourceWidth
                let sample = source.loadUnaligned(fromByteOffset: offset, as: Source.self)
                destination.storeBytes(
                    of: Target(truncatingIfNeeded: sample),
                    toByteOffset: (column &* rows &+ row) &* targetWidth,
                    as: Target.self
                )
            }
        }
    }
}

#if _endian(big)
#error("native frames are little endian and handed to the codecs as they are")
#endif

extension UnsafeRawBufferPointer {
    /// Where `byte` next occurs at or after `start`.
    func firstOffset(of byte: UInt8, from start: Int) -> Int? {
        guard start < count, let base = baseAddress, let found = memchr(base + start, Int32(byte), count - start) else {
            return nil
        }
        return base.distance(to: UnsafeRawPointer(found))
    }
}
