// SPDX-License-Identifier: Apache-2.0

import NIOCore
import PixelCodecs

/// The frames of one instance on their way through the codec threads, several at once.
struct FrameEncodings {
    /// Frames of one instance that are in work at once: enough for every thread, little enough for other instances.
    private static let window = 8

    private let frames: [ByteBuffer]
    private let plan: CompressionPlan
    private let codecs: CodecPool
    private var encodings: [FrameEncoding] = []

    /// Starts the first frames and returns without waiting for them.
    init(_ frames: [ByteBuffer], plan: CompressionPlan, codecs: CodecPool) {
        self.frames = frames
        self.plan = plan
        self.codecs = codecs
        while encodings.count < min(frames.count, Self.window) { startNext() }
    }

    /// Waits until all frames are encoded; their proofs may still be under way then.
    ///
    /// - Returns: the encoded frames in order.
    mutating func finish() async throws(CodecError) -> [ByteBuffer] {
        var encoded: [ByteBuffer] = []
        encoded.reserveCapacity(frames.count)
        while encoded.count < frames.count {
            encoded.append(try await encodings[encoded.count].bytes.value())
            if encodings.count < frames.count { startNext() }
        }
        return encoded
    }

    /// Waits until all started frames are proven; whether each decodes to its original, bit for bit.
    func areProven() async throws(CodecError) -> Bool {
        for encoding in encodings where try await !encoding.proof.value() { return false }
        return encodings.count == frames.count
    }

    private mutating func startNext() {
        encodings.append(
            codecs.startEncoding(
                frames[encodings.count],
                format: plan.format,
                codec: plan.codec,
                options: plan.candidate.options
            )
        )
    }
}
