// SPDX-License-Identifier: Apache-2.0

import CZlib
public import NIOCore

/// Writes pictures as PNG (ISO/IEC 15948): 8 bits, grey or RGB, without loss.
public enum PNGEncoder {
    public static func encode(_ picture: Picture) throws(RenderingError) -> ByteBuffer {
        var output = ByteBuffer(bytes: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A])
        var header = ByteBuffer()
        header.writeInteger(UInt32(picture.width))
        header.writeInteger(UInt32(picture.height))
        // Bit depth, colour type (0 grey, 2 RGB), and the only compression, filter method and no interlace.
        header.writeBytes([8, picture.channelCount == 3 ? 2 : 0, 0, 0, 0])
        write("IHDR", header, to: &output)
        write("IDAT", try deflated(filtered(picture)), to: &output)
        write("IEND", ByteBuffer(), to: &output)
        return output
    }

    /// Each row after its filter's number: differences to the pixel above (2), but for the first row (0).
    private static func filtered(_ picture: Picture) -> [UInt8] {
        let rowCount = picture.width * picture.channelCount
        var bytes: [UInt8] = []
        bytes.reserveCapacity((rowCount + 1) * picture.height)
        for row in 0..<picture.height {
            let start = row * rowCount
            bytes.append(row == 0 ? 0 : 2)
            if row == 0 {
                bytes.append(contentsOf: picture.samples[start..<start + rowCount])
            } else {
                for index in start..<start + rowCount {
                    bytes.append(picture.samples[index] &- picture.samples[index - rowCount])
                }
            }
        }
        return bytes
    }

    private static func deflated(_ bytes: [UInt8]) throws(RenderingError) -> ByteBuffer {
        let bound = compressBound(uLong(bytes.count))
        var output = ByteBuffer()
        var status = Z_OK
        unsafe output.writeWithUnsafeMutableBytes(minimumWritableBytes: Int(bound)) { target in
            var count = uLongf(bound)
            unsafe bytes.withUnsafeBufferPointer { source in
                status = unsafe compress2(
                    target.baseAddress?.assumingMemoryBound(to: Bytef.self),
                    &count,
                    source.baseAddress,
                    uLong(source.count),
                    4
                )
            }
            return status == Z_OK ? Int(count) : 0
        }
        guard status == Z_OK else {
            throw RenderingError(.unsupported, "zlib could not compress the picture (\(status))")
        }
        return output
    }

    /// A chunk: length, type, data, and the CRC of type and data.
    private static func write(_ type: StaticString, _ data: ByteBuffer, to output: inout ByteBuffer) {
        output.writeInteger(UInt32(data.readableBytes))
        let start = output.writerIndex
        output.writeStaticString(type)
        output.writeImmutableBuffer(data)
        let checked = output.getSlice(at: start, length: output.writerIndex - start) ?? ByteBuffer()
        let crc = unsafe checked.withUnsafeReadableBytes { bytes in
            unsafe crc32(0, bytes.baseAddress?.assumingMemoryBound(to: Bytef.self), UInt32(bytes.count))
        }
        output.writeInteger(UInt32(truncatingIfNeeded: crc))
    }
}
