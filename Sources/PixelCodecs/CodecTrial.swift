// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// What each of some codecs makes of the same sample frames: the facts from which a series' codec is chosen.
///
/// Every candidate encodes every frame; nothing is decoded or proven. There is no policy here: which candidates are
/// tried, and whether the winner is worth it, is for the caller. Blocks like `PixelCodec.encode`.
public struct CodecTrial: Sendable, Hashable {
    /// A way to encode.
    public struct Candidate: Sendable, Hashable {
        public let codec: PixelCodec
        public let options: PixelCodec.EncodingOptions

        public init(_ codec: PixelCodec, options: PixelCodec.EncodingOptions = .init()) {
            self.codec = codec
            self.options = options
        }
    }

    /// What came of a candidate.
    public enum Result: Sendable, Hashable {
        /// The bytes of all sample frames together.
        case encoded(byteCount: Int)
        /// It cannot carry the format, or one of the frames, for the reason given.
        case refused(reason: String)
    }

    /// A candidate and what came of it.
    public struct Outcome: Sendable, Hashable {
        public let candidate: Candidate
        public let result: Result

        public var byteCount: Int? {
            if case .encoded(let byteCount) = result { byteCount } else { nil }
        }
    }

    /// One for each candidate, in the order given.
    public let outcomes: [Outcome]
    /// The bytes of the native frames together.
    public let nativeByteCount: Int

    /// Encodes all `frames` with each of the candidates.
    ///
    /// - Throws: `.invalidInput` without any frame or for one of the wrong byte count, `.outOfMemory`,
    ///   `.libraryFailure`; a refusal is an outcome.
    public init(
        frames: [ByteBuffer],
        format: PixelFormat,
        candidates: [Candidate],
        scratch: CodecScratch = CodecScratch()
    ) throws(CodecError) {
        guard !frames.isEmpty else { throw CodecError(.invalidInput, "a trial of codecs needs a sample frame") }
        var outcomes: [Outcome] = []
        for candidate in candidates {
            let result = try Self.encode(frames, format, candidate, scratch)
            outcomes.append(Outcome(candidate: candidate, result: result))
        }
        self.outcomes = outcomes
        self.nativeByteCount = frames.reduce(0) { $0 + $1.readableBytes }
    }

    /// The candidate with the fewest bytes, the first of several; nil when all refused.
    public var winner: Candidate? {
        var best: (candidate: Candidate, byteCount: Int)?
        for outcome in outcomes {
            guard let byteCount = outcome.byteCount, byteCount < best?.byteCount ?? .max else { continue }
            best = (outcome.candidate, byteCount)
        }
        return best?.candidate
    }

    private static func encode(
        _ frames: [ByteBuffer],
        _ format: PixelFormat,
        _ candidate: Candidate,
        _ scratch: CodecScratch
    ) throws(CodecError) -> Result {
        var byteCount = 0
        for frame in frames {
            do throws(CodecError) {
                byteCount += try candidate.codec.encode(
                    frame,
                    format: format,
                    options: candidate.options,
                    scratch: scratch
                ).readableBytes
            } catch {
                guard error.code == .unsupported else { throw error }
                return .refused(reason: error.message)
            }
        }
        return .encoded(byteCount: byteCount)
    }
}
