// SPDX-License-Identifier: Apache-2.0

import CZlib
public import NIOCore

/// Compresses a body that comes in pieces into one gzip stream (RFC 1952), in memory that does not grow with it.
///
/// For one task at a time.
// Safety: the pointer is made and freed here, and leaves only for the length of a call of zlib.
@safe public final class GzipEncoder {
    /// zlib's state points back to it, so it must not move.
    private let stream: UnsafeMutablePointer<z_stream>
    private var output = ByteBuffer()

    /// The most bytes handed out at once.
    private static let pieceByteCount = 1 << 16
    /// JSON shrinks to a tenth at this level, at twice the speed of zlib's own default.
    private static let level: Int32 = 4

    /// - Throws: `.unavailable` when there is no memory for it.
    public init() throws(DICOMWebError) {
        unsafe self.stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe self.stream.initialize(to: z_stream())
        let size = unsafe Int32(MemoryLayout<z_stream>.size)
        // 16 more than the window's bits asks for gzip's header and trailer.
        let status = unsafe deflateInit2_(
            stream,
            Self.level,
            Z_DEFLATED,
            MAX_WBITS + 16,
            8,
            Z_DEFAULT_STRATEGY,
            ZLIB_VERSION,
            size
        )
        guard status == Z_OK else {
            throw DICOMWebError(.unavailable, "there is no memory to compress the body; ask without Accept-Encoding")
        }
    }

    deinit {
        unsafe _ = deflateEnd(stream)
        unsafe stream.deallocate()
    }

    /// Takes the next bytes and gives those of the stream that are ready, often none.
    public func append(_ bytes: ByteBuffer) -> [ByteBuffer] {
        var ready: [ByteBuffer] = []
        // zlib counts in 32 bits.
        var rest = bytes
        while let piece = rest.readSlice(length: min(rest.readableBytes, 1 << 30)), piece.readableBytes > 0 {
            run(piece, Z_NO_FLUSH, into: &ready)
        }
        return ready
    }

    /// The end of the stream.
    public func finish() -> [ByteBuffer] {
        var ready: [ByteBuffer] = []
        run(ByteBuffer(), Z_FINISH, into: &ready)
        if output.readableBytes > 0 { ready.append(output) }
        output = ByteBuffer()
        return ready
    }

    /// Compresses until zlib has taken all and given what it gives.
    private func run(_ bytes: ByteBuffer, _ flush: Int32, into ready: inout [ByteBuffer]) {
        unsafe bytes.withUnsafeReadableBytes { source in
            // zlib reads only, though its header says otherwise.
            unsafe stream.pointee.next_in = UnsafeMutablePointer(
                mutating: source.baseAddress?.assumingMemoryBound(to: Bytef.self)
            )
            unsafe stream.pointee.avail_in = UInt32(source.count)
            var isFull = true
            while isFull {
                unsafe output.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.pieceByteCount) { target in
                    unsafe stream.pointee.next_out = target.baseAddress?.assumingMemoryBound(to: Bytef.self)
                    unsafe stream.pointee.avail_out = UInt32(Self.pieceByteCount)
                    // It can't fail: the state is sound, and whether there is room is asked below.
                    unsafe _ = CZlib.deflate(stream, flush)
                    isFull = unsafe stream.pointee.avail_out == 0
                    return unsafe Self.pieceByteCount - Int(stream.pointee.avail_out)
                }
                if output.readableBytes >= Self.pieceByteCount {
                    ready.append(output)
                    output = ByteBuffer()
                }
            }
        }
    }
}
