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
        let half = UInt16(1) << UInt16(bitsStored - 1)
        return bitWidth(of: reduce(frame, adding: half, bitsAllocated: bitsAllocated)) <= bitsStored
    }

    private static func bitWidth(of bits: UInt16) -> Int { UInt16.bitWidth - bits.leadingZeroBitCount }

    /// The OR of all samples, each with `bias` added modulo its width.
    private static func reduce(_ frame: UnsafeRawBufferPointer, adding bias: UInt16, bitsAllocated: Int) -> UInt16 {
        if bitsAllocated == 8 {
            let bytes = frame.reduceVectors(SIMD64<UInt8>.self) { $0 | ($1 &+ SIMD64(repeating: UInt8(bias))) }
            var result = UInt8(0)
            for lane in bytes.lanes.indices { result |= bytes.lanes[lane] }
            for byte in bytes.rest { result |= byte &+ UInt8(bias) }
            return UInt16(result)
        }
        let words = frame.reduceVectors(SIMD32<UInt16>.self) { $0 | ($1 &+ SIMD32(repeating: bias)) }
        var result = UInt16(0)
        for lane in words.lanes.indices { result |= words.lanes[lane] }
        for offset in stride(from: 0, to: words.rest.count - 1, by: 2) {
            result |= words.rest.loadUnaligned(fromByteOffset: offset, as: UInt16.self) &+ bias
        }
        return result
    }
}

extension UnsafeRawBufferPointer {
    /// Folds whole vectors from the start and returns what is left over as bytes.
    @inline(__always)
    fileprivate func reduceVectors<Vector: SIMD & BitwiseCopyable>(
        _ type: Vector.Type,
        _ combine: (Vector, Vector) -> Vector
    ) -> (lanes: Vector, rest: UnsafeRawBufferPointer) where Vector.Scalar: FixedWidthInteger {
        let step = MemoryLayout<Vector>.size
        var lanes = Vector()
        var offset = 0
        while offset + step <= count {
            lanes = combine(lanes, loadUnaligned(fromByteOffset: offset, as: Vector.self))
            offset += step
        }
        return (lanes, UnsafeRawBufferPointer(rebasing: self[offset...]))
    }
}

/// Changes of sample layout: planes against pixels, one byte a sample against two.
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
        case (1, _): turn(source, UInt8.self, into: destination, UInt16.self, rows: rows, columns: columns)
        case (_, _): turn(source, UInt16.self, into: destination, UInt16.self, rows: rows, columns: columns)
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
