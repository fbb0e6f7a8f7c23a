// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers

/// Whether an encoded frame decodes to its original: known some time after the frame was encoded.
public final class FrameProof: Sendable {
    private enum State {
        case open
        case awaited(CheckedContinuation<Result<Bool, CodecError>, Never>)
        case finished(Result<Bool, CodecError>)
    }

    private let state = NIOLockedValueBox(State.open)

    /// A proof still to be made.
    public init() {}

    /// Waits until the frame was decoded and compared; to be called once.
    ///
    /// - Throws: the error that kept it from being decoded, or from being encoded at all.
    public func outcome() async throws(CodecError) -> Bool {
        let result = await withCheckedContinuation { continuation in
            let finished: Result<Bool, CodecError>? = state.withLockedValue { state in
                if case .finished(let result) = state { return result }
                state = .awaited(continuation)
                return nil
            }
            if let finished { continuation.resume(returning: finished) }
        }
        return try result.get()
    }

    /// Tells who waits; the first outcome counts.
    func finish(_ result: Result<Bool, CodecError>) {
        let waiting: CheckedContinuation<Result<Bool, CodecError>, Never>? = state.withLockedValue { state in
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
