// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
public import NIOCore

/// What a codec thread finds out some time later, for one who waits for it.
public final class CodecOutcome<Value: Sendable>: Sendable {
    private enum State {
        case open
        case awaited(CheckedContinuation<Result<Value, CodecError>, Never>)
        case finished(Result<Value, CodecError>)
    }

    private let state = NIOLockedValueBox(State.open)

    init() {}

    /// Waits until it is known; to be called once.
    ///
    /// - Throws: the error that came in its place.
    public func value() async throws(CodecError) -> Value {
        let result = await withCheckedContinuation { continuation in
            let finished: Result<Value, CodecError>? = state.withLockedValue { state in
                if case .finished(let result) = state { return result }
                state = .awaited(continuation)
                return nil
            }
            if let finished { continuation.resume(returning: finished) }
        }
        return try result.get()
    }

    /// Tells who waits; the first outcome counts.
    func finish(_ result: Result<Value, CodecError>) {
        let waiting: CheckedContinuation<Result<Value, CodecError>, Never>? = state.withLockedValue { state in
            switch state {
            case .open:
                state = .finished(result)
                return nil
            case .awaited(let continuation):
                state = .finished(result)
                return continuation
            case .finished:
                return nil
            }
        }
        waiting?.resume(returning: result)
    }
}

/// A frame that a codec thread encodes and then proves.
public struct FrameEncoding: Sendable {
    /// The encoded frame.
    public let bytes = CodecOutcome<ByteBuffer>()
    /// Whether the encoded frame decodes to the original, bit for bit; known some time after ``bytes``.
    public let proof = CodecOutcome<Bool>()
}
