// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// A HEAD as the client sees it: the result, whose metadata may come in several messages.
///
/// Pure; one stream owns it.
public struct HeadReceiver: Sendable {
    public enum Action: Hashable, Sendable {
        case wait
        case finish(HeadResult?)
        case closeConnection(ReplicationError)
    }

    private enum State: Hashable, Sendable {
        /// Exits: `collecting`, `ended`.
        case awaitingResult
        /// More METADATA is to come. Exits: `ended`.
        case collecting(HeadResult, remaining: Int)
        case ended
    }

    private var state: State = .awaitingResult

    public init() {}

    /// Whether METADATA is still to come.
    public var isCollecting: Bool {
        switch state {
        case .collecting: true
        case .awaitingResult, .ended: false
        }
    }

    /// HEAD-RESULT came.
    public mutating func resultReceived(_ begin: HeadBegin?) -> Action {
        switch state {
        case .awaitingResult:
            guard let begin else {
                state = .ended
                return .finish(nil)
            }
            var result = begin.result
            // Its own storage, so that no receive buffer is kept alive.
            result.metadata = ByteBuffer()
            result.metadata.reserveCapacity(begin.metadataByteCount)
            result.metadata.writeImmutableBuffer(begin.result.metadata)
            return collect(result, remaining: begin.metadataByteCount - begin.result.metadata.readableBytes)
        case .collecting, .ended:
            return .closeConnection(.violation("a second HEAD-RESULT"))
        }
    }

    /// METADATA came.
    public mutating func metadataReceived(_ bytes: ByteBuffer) -> Action {
        switch state {
        case .collecting(var result, let remaining):
            state = .ended
            guard bytes.readableBytes > 0, bytes.readableBytes <= remaining else {
                return .closeConnection(.violation("METADATA beyond the declared length"))
            }
            result.metadata.writeImmutableBuffer(bytes)
            return collect(result, remaining: remaining - bytes.readableBytes)
        case .awaitingResult, .ended:
            return .closeConnection(.violation("METADATA before HEAD-RESULT"))
        }
    }

    private mutating func collect(_ result: HeadResult, remaining: Int) -> Action {
        guard remaining > 0 else {
            state = .ended
            return .finish(result)
        }
        state = .collecting(result, remaining: remaining)
        return .wait
    }
}
