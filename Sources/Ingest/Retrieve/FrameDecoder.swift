// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs
import SegmentFormat

/// Decodes the frames of one instance on the codec threads, several at once and in order.
///
/// All requests share its places, so that readers never fill the codec pool's queue.
struct FrameDecoder: Sendable {
    /// Frames of one instance in work at once.
    static let window = 8

    let pool: CodecPool
    let places: Budget

    init(pool: CodecPool) {
        self.pool = pool
        self.places = Budget(limit: max(2, pool.threadCount * 2))
    }

    func decode(_ frames: [ByteBuffer], as decoding: ImageDecoding) async throws(RetrieveFailure) -> [ByteBuffer] {
        do {
            return try await OrderedPrefetch.map(frames, window: Self.window) { frame in
                await places.acquire(1)
                defer { places.release(1) }
                return try await pool.decode(frame, format: decoding.format, codec: decoding.codec)
            }
        } catch let error as CodecError {
            throw RetrieveFailure(error)
        } catch {
            throw RetrieveFailure(.overloaded, "decoding was given up: \(error)")
        }
    }

    /// Runs a digest over something large.
    func run<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async throws(RetrieveFailure) -> Value {
        await places.acquire(1)
        defer { places.release(1) }
        do {
            return try await pool.run(work)
        } catch {
            throw RetrieveFailure(.overloaded, "checking was given up: \(error)")
        }
    }
}

extension ByteBuffer {
    /// Cuts frames out of bytes that begin at `start` in the payload; shares storage.
    func frames(_ locations: some Sequence<FrameLocation>, from start: Int) throws(RetrieveFailure) -> [ByteBuffer] {
        var frames: [ByteBuffer] = []
        for location in locations {
            guard let offset = Int(exactly: location.offset), let count = Int(exactly: location.byteCount),
                offset >= start, let frame = getSlice(at: readerIndex + (offset - start), length: count)
            else { throw RetrieveFailure(.damaged, "a frame lies outside of the record's payload") }
            frames.append(frame)
        }
        return frames
    }
}
