// SPDX-License-Identifier: Apache-2.0

import CJPEGShim
public import NIOCore

/// Writes pictures as baseline JPEG (ISO 10918-1 process 1), colour as YCbCr with all of its chroma.
public enum JPEGEncoder {
    /// `quality` is libjpeg's, 1 to 100.
    public static func encode(_ picture: Picture, quality: Int) throws(RenderingError) -> ByteBuffer {
        guard picture.width <= 65_500, picture.height <= 65_500 else {
            throw RenderingError(.unsupported, "JPEG has no pictures of more than 65,500 columns or rows")
        }
        var bytes: UnsafeMutablePointer<UInt8>?
        var byteCount = 0
        let status = unsafe picture.samples.withUnsafeBufferPointer { samples in
            unsafe varve_jpeg_encode(
                samples.baseAddress,
                UInt32(picture.height),
                UInt32(picture.width),
                Int32(picture.channelCount),
                Int32(max(1, min(100, quality))),
                &bytes,
                &byteCount
            )
        }
        defer { unsafe varve_jpeg_free(bytes) }
        guard status == 0, let start = unsafe bytes else {
            throw RenderingError(.unsupported, "libjpeg could not encode the picture (\(status))")
        }
        return unsafe ByteBuffer(bytes: UnsafeRawBufferPointer(start: start, count: byteCount))
    }
}
