// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs

extension CodecPool {
    /// Frames of one instance that are in work at once: enough for every thread, little enough for other instances.
    private static let window = 8

    /// Encodes all frames, several at once, and returns them in order; their proofs may still be under way then.
    func encodeAll(_ frames: [ByteBuffer], format: PixelFormat, codec: PixelCodec) async throws -> [EncodedFrame] {
        guard frames.count > 1 else {
            // One frame, the usual case: no task group.
            guard let frame = frames.first else { return [] }
            return [try await encodeOne(frame, format: format, codec: codec)]
        }
        return try await forEachIndex(frames.count) { index in
            try await self.encodeOne(frames[index], format: format, codec: codec)
        }
    }

    private func encodeOne(
        _ frame: ByteBuffer,
        format: PixelFormat,
        codec: PixelCodec
    ) async throws(CodecError) -> EncodedFrame {
        let proof = FrameProof()
        return EncodedFrame(
            bytes: try await encode(frame, format: format, codec: codec, proof: proof),
            proof: proof
        )
    }

    /// Runs `work` for 0 ..< `count`, at most `window` at once; results in order.
    private func forEachIndex<Result: Sendable>(
        _ count: Int,
        _ work: @escaping @Sendable (Int) async throws -> Result
    ) async throws -> [Result] {
        try await withThrowingTaskGroup(of: (Int, Result).self) { group in
            var results = [Result?](repeating: nil, count: count)
            var next = 0
            while next < min(count, Self.window) {
                let index = next
                group.addTask { (index, try await work(index)) }
                next += 1
            }
            while let (index, result) = try await group.next() {
                results[index] = result
                if next < count {
                    let index = next
                    group.addTask { (index, try await work(index)) }
                    next += 1
                }
            }
            return results.compactMap(\.self)
        }
    }
}

/// A frame that is encoded and will be, or is, proven.
struct EncodedFrame: Sendable {
    let bytes: ByteBuffer
    let proof: FrameProof
}
