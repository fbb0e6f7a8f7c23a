// SPDX-License-Identifier: Apache-2.0

import CZlib
public import NIOCore

/// Inflates a raw deflate stream (RFC 1951) that comes in pieces, as PS3.5 section A.5 wraps a data set in one.
///
/// For what is too large to be in memory whole: memory is one piece and what the caller keeps. For one task or thread
/// at a time.
// Safety: the pointer is made and freed here, and leaves only for the length of a call of zlib.
@safe public final class Inflater {
    /// zlib's state points back to it, so it must not move.
    private let stream: UnsafeMutablePointer<z_stream>
    private let maximumByteCount: Int
    /// Bytes inflated so far.
    public private(set) var byteCount = 0
    /// Whether the stream's end has come; what follows (padding to even length) is ignored.
    public private(set) var isFinished = false

    /// The most bytes handed out at once.
    private static let pieceByteCount = 1 << 18

    /// More bytes than `maximumByteCount` are an error: a few bytes may inflate to a thousand times as many.
    public init(maximumByteCount: Int) throws(DICOMError) {
        self.maximumByteCount = maximumByteCount
        unsafe self.stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe self.stream.initialize(to: z_stream())
        let size = unsafe Int32(MemoryLayout<z_stream>.size)
        let status = unsafe inflateInit2_(self.stream, -MAX_WBITS, ZLIB_VERSION, size)
        guard status == Z_OK else {
            throw DICOMError(.invalidDeflateStream, "zlib refused to start (\(status))")
        }
    }

    deinit {
        unsafe _ = inflateEnd(self.stream)
        unsafe self.stream.deallocate()
    }

    /// Inflates the next bytes of the stream and hands out what comes of them, piece by piece.
    ///
    /// - Throws: `.limitExceeded` beyond the limit, `.invalidDeflateStream` for what is no deflate stream.
    public func inflate(_ bytes: ByteBuffer, _ body: (ByteBuffer) -> Void) throws(DICOMError) {
        var status = Z_OK
        unsafe bytes.withUnsafeReadableBytes { source in
            // zlib reads only, though its header says otherwise.
            unsafe self.stream.pointee.next_in = UnsafeMutablePointer(
                mutating: source.baseAddress?.assumingMemoryBound(to: Bytef.self)
            )
            unsafe self.stream.pointee.avail_in = UInt32(source.count)
            var isEmptied = false
            while status == Z_OK, !isEmptied, !self.isFinished, self.byteCount <= self.maximumByteCount {
                var output = ByteBuffer()
                let written = unsafe output.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.pieceByteCount) {
                    target in
                    unsafe self.stream.pointee.next_out = target.baseAddress?.assumingMemoryBound(to: Bytef.self)
                    unsafe self.stream.pointee.avail_out = UInt32(Self.pieceByteCount)
                    status = unsafe CZlib.inflate(self.stream, Z_NO_FLUSH)
                    return unsafe Self.pieceByteCount - Int(self.stream.pointee.avail_out)
                }
                self.byteCount += written
                if written > 0 { body(output) }
                self.isFinished = status == Z_STREAM_END
                // What zlib could not hand out for want of room comes with the next call.
                isEmptied = written < Self.pieceByteCount
            }
        }
        if self.byteCount > self.maximumByteCount {
            throw DICOMError(.limitExceeded, "the data set inflates to more than \(self.maximumByteCount) bytes")
        }
        // Z_BUF_ERROR: more bytes are needed.
        guard [Z_OK, Z_STREAM_END, Z_BUF_ERROR].contains(status) else {
            throw DICOMError(
                .invalidDeflateStream,
                "the bytes are no deflate stream (zlib \(status))",
                offset: self.byteCount
            )
        }
    }

    /// The stream is over.
    ///
    /// - Throws: `.truncated` when its end has not come.
    public func finish() throws(DICOMError) {
        guard self.isFinished else {
            throw DICOMError(.truncated, "the deflate stream ends too early", offset: self.byteCount)
        }
    }
}
