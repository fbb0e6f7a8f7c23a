// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import PixelCodecs

/// A small generator whose seed comes from `VARVE_TEST_SEED`; failures name it.
struct SeededGenerator: RandomNumberGenerator {
    static let seed = ProcessInfo.processInfo.environment["VARVE_TEST_SEED"].flatMap { UInt64($0) } ?? 0x5EED_0001

    private var state: UInt64

    init(_ stream: UInt64 = 0) { state = Self.seed &+ stream &* 0x9E37_79B9_7F4A_7C15 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// What the bits of a made frame look like.
enum Content: String, CaseIterable, Sendable {
    case zero
    /// A ramp with a little noise in the stored bits, nothing above them.
    case smooth
    /// The same as signed numbers around zero, extended through all allocated bits.
    case signExtended
    /// Noise in the stored bits, rubbish above them.
    case dirty
    /// Noise in all allocated bits.
    case noise
}

extension PixelFormat {
    var label: String {
        "\(rows)x\(columns)x\(samplesPerPixel) \(bitsStored)/\(bitsAllocated) high \(highBit)"
            + (isSigned ? " signed" : "") + (isPlanar ? " planar" : "") + " \(photometric)"
    }

    /// A native frame of this format.
    func makeFrame(_ content: Content, stream: UInt64 = 1) -> ByteBuffer {
        var generator = SeededGenerator(stream)
        var frame = ByteBuffer()
        let storedMask = UInt32(truncatingIfNeeded: (1 << bitsStored) - 1)
        let shift = highBit + 1 - bitsStored
        for index in 0..<rows * columns * samplesPerPixel {
            let random = UInt32(truncatingIfNeeded: generator.next())
            let ramp = UInt32(truncatingIfNeeded: index &* 3) &+ (random & 3)
            let value: UInt32 =
                switch content {
                case .zero: 0
                case .smooth: (ramp & storedMask) << shift
                case .signExtended:
                    UInt32(truncatingIfNeeded: Int(ramp & storedMask) - (1 << (bitsStored - 1)))
                case .dirty: ((ramp & storedMask) << shift) | (random & ~(storedMask << shift))
                case .noise: random
                }
            switch bitsAllocated {
            case 8: frame.writeInteger(UInt8(truncatingIfNeeded: value))
            case 16: frame.writeInteger(UInt16(truncatingIfNeeded: value), endianness: .little)
            default: frame.writeInteger(value, endianness: .little)
            }
        }
        return frame
    }
}

extension ByteBuffer {
    /// A copy with some bytes changed.
    func mutated(_ change: (inout [UInt8]) -> Void) -> ByteBuffer {
        var bytes = Array(readableBytesView)
        change(&bytes)
        return ByteBuffer(bytes: bytes)
    }
}
