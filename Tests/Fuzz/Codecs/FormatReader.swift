// SPDX-License-Identifier: Apache-2.0

import FuzzHarness
import NIOCore
import PixelCodecs

/// A format in four bytes: flags, bits stored (4 bits) and high bit (4 bits), rows, columns.
///
/// Frames stay below 50 KB: it is the number of inputs that finds faults, not their length.
enum FormatReader {
    static func read(_ bytes: inout ByteBuffer) -> PixelFormat {
        let flags = bytes.takeByte()
        let bits = bytes.takeByte()
        let rows = Int(bytes.takeByte()) + 1
        let columns = Int(bytes.takeByte()) + 1
        let isColour = flags & 1 != 0
        return PixelFormat(
            rows: flags & 0x80 != 0 ? min(rows, 4) : min(rows, 32),
            columns: flags & 0x80 != 0 ? columns * 8 : min(columns, 32),
            samplesPerPixel: isColour ? 3 : 1,
            bitsAllocated: flags & 2 != 0 ? 16 : 8,
            bitsStored: Int(bits >> 4) + 1,
            highBit: Int(bits & 0x0F),
            isSigned: flags & 4 != 0,
            isPlanar: flags & 8 != 0,
            photometric: isColour ? (flags & 16 != 0 ? .ybrFull : .rgb) : (flags & 16 != 0 ? .palette : .monochrome)
        )
    }

    /// The four bytes of a format that `read` gives back.
    static func write(_ format: PixelFormat) -> ByteBuffer {
        var flags: UInt8 = 0
        if format.samplesPerPixel == 3 { flags |= 1 }
        if format.bitsAllocated == 16 { flags |= 2 }
        if format.isSigned { flags |= 4 }
        if format.isPlanar { flags |= 8 }
        if format.photometric == .ybrFull || format.photometric == .palette { flags |= 16 }
        let bits = UInt8(format.bitsStored - 1) << 4 | UInt8(format.highBit)
        return ByteBuffer(bytes: [flags, bits, UInt8(format.rows - 1), UInt8(format.columns - 1)])
    }
}
