// SPDX-License-Identifier: Apache-2.0

import CZlib
public import NIOCore

/// Raw deflate streams (RFC 1951), as PS3.5 section A.5 wraps a data set in one.
///
/// The one place that calls zlib.
public enum Deflate {
    /// Inflates the readable bytes; what follows the end of the stream (padding to even length) is ignored.
    public static func inflate(_ bytes: ByteBuffer, maximumByteCount: Int) throws(DICOMError) -> ByteBuffer {
        var stream = unsafe z_stream()
        let size = unsafe Int32(MemoryLayout<z_stream>.size)
        let status = unsafe inflateInit2_(&stream, -MAX_WBITS, ZLIB_VERSION, size)
        guard status == Z_OK else {
            throw DICOMError(.invalidDeflateStream, "zlib refused to start (\(status))")
        }
        defer { unsafe _ = inflateEnd(&stream) }
        var output = ByteBuffer()
        let outcome = unsafe bytes.withUnsafeReadableBytes { source in
            unsafe Self.run(&stream, source, into: &output, maximumByteCount: maximumByteCount) {
                unsafe CZlib.inflate(&$0, Z_NO_FLUSH)
            }
        }
        switch outcome {
        case .finished: return output
        case .limit:
            throw DICOMError(.limitExceeded, "the data set inflates to more than \(maximumByteCount) bytes")
        case .cut: throw DICOMError(.truncated, "the deflate stream ends too early", offset: output.readableBytes)
        case .failed(let code):
            throw DICOMError(
                .invalidDeflateStream,
                "the bytes are no deflate stream (zlib \(code))",
                offset: output.readableBytes
            )
        }
    }

    /// Deflates the readable bytes and pads to an even length.
    public static func deflate(_ bytes: ByteBuffer) throws(DICOMError) -> ByteBuffer {
        var stream = unsafe z_stream()
        let size = unsafe Int32(MemoryLayout<z_stream>.size)
        let status = unsafe deflateInit2_(
            &stream,
            Z_DEFAULT_COMPRESSION,
            Z_DEFLATED,
            -MAX_WBITS,
            8,
            Z_DEFAULT_STRATEGY,
            ZLIB_VERSION,
            size
        )
        guard status == Z_OK else {
            throw DICOMError(.invalidDeflateStream, "zlib refused to start (\(status))")
        }
        defer { unsafe _ = deflateEnd(&stream) }
        var output = ByteBuffer()
        let outcome = unsafe bytes.withUnsafeReadableBytes { source in
            unsafe Self.run(&stream, source, into: &output, maximumByteCount: .max) {
                unsafe CZlib.deflate(&$0, Z_FINISH)
            }
        }
        guard outcome == .finished else {
            throw DICOMError(.invalidDeflateStream, "zlib did not finish")
        }
        if output.readableBytes % 2 != 0 { output.writeInteger(UInt8(0)) }
        return output
    }

    private enum Outcome: Equatable {
        case finished
        case limit
        case cut
        case failed(Int32)
    }

    private static func run(
        _ stream: inout z_stream,
        _ source: UnsafeRawBufferPointer,
        into output: inout ByteBuffer,
        maximumByteCount: Int,
        step: (inout z_stream) -> Int32
    ) -> Outcome {
        // zlib reads only, though its header says otherwise.
        unsafe stream.next_in = UnsafeMutablePointer(mutating: source.baseAddress?.assumingMemoryBound(to: Bytef.self))
        unsafe stream.avail_in = UInt32(source.count)
        while true {
            var status = Z_OK
            let written = unsafe output.writeWithUnsafeMutableBytes(minimumWritableBytes: 65536) { target in
                unsafe stream.next_out = target.baseAddress?.assumingMemoryBound(to: Bytef.self)
                let room = min(target.count, 1 << 20)
                unsafe stream.avail_out = UInt32(room)
                status = unsafe step(&stream)
                return unsafe room - Int(stream.avail_out)
            }
            if output.readableBytes > maximumByteCount { return .limit }
            if status == Z_STREAM_END { return .finished }
            if status == Z_BUF_ERROR || (status == Z_OK && written == 0) { return .cut }
            if status != Z_OK { return .failed(status) }
        }
    }
}
