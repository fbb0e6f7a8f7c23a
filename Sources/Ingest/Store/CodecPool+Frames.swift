// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs

extension CodecPool {
    /// Frames of one instance that are in work at once: enough for every thread, little enough for other instances.
    private static let window = 8

    /// Encodes all frames, several at once, and returns them in order.
    func encodeAll(_ frames: [ByteBuffer], format: PixelFormat, codec: PixelCodec) async throws -> [ByteBuffer] {
        guard frames.count > 1 else {
            // One frame, the usual case: no task group.
            guard let frame = frames.first else { return [] }
            return [try await encode(frame, format: format, codec: codec)]
        }
        return try await forEachIndex(frames.count) { index in
            try await self.encode(frames[index], format: format, codec: codec)
        }
    }

    /// Whether every encoded frame decodes to its original, bit for bit.
    func proveAll(
        _ encoded: [ByteBuffer],
        equal frames: [ByteBuffer],
        format: PixelFormat,
        codec: PixelCodec
    ) async throws -> Bool {
        guard encoded.count == frames.count else { return false }
        return try await forEachIndex(frames.count) { index in
            try await self.prove(encoded[index], equals: frames[index], format: format, codec: codec)
        }.allSatisfy { $0 }
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
