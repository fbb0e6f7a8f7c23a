// SPDX-License-Identifier: Apache-2.0

/// A get as the client sees it: GET-BEGIN says what comes, DATA is counted against it and against the credit.
///
/// Pure; one stream owns it. It counts bytes but holds none.
public struct GetReceiver: Sendable {
    /// What the shell is to do next.
    public enum Action: Hashable, Sendable {
        /// So many bytes are to come.
        case begin(GetBegin)
        /// Take the bytes of the DATA message that begins.
        case take(isLast: Bool)
        case fail(ReplicationError)
        case closeConnection(ReplicationError)
        /// Nothing: the stream is over.
        case ignore
    }

    private enum State: Hashable, Sendable {
        /// Exits: `receiving`, `ended`.
        case awaitingBegin
        /// Exits: `ended`.
        case receiving(remaining: UInt64)
        case ended
    }

    private let wantedRange: Range<UInt64>?
    private var credit: UInt64
    private var consumedByteCount: UInt64 = 0
    private var state: State = .awaitingBegin

    public init(_ request: GetRequest) {
        self.wantedRange = request.range
        self.credit = request.credit
    }

    /// GET-BEGIN came.
    public mutating func beginReceived(_ begin: GetBegin) -> Action {
        switch state {
        case .awaitingBegin:
            let wanted = wantedRange ?? 0..<begin.payloadByteCount
            let lower = min(wanted.lowerBound, begin.payloadByteCount)
            guard begin.range == lower..<max(lower, min(wanted.upperBound, begin.payloadByteCount)) else {
                return close(.violation("GET-BEGIN of another range than was asked for"))
            }
            let byteCount = begin.range.upperBound - begin.range.lowerBound
            state = byteCount == 0 ? .ended : .receiving(remaining: byteCount)
            return .begin(begin)
        case .receiving:
            return close(.violation("a second GET-BEGIN"))
        case .ended:
            return .ignore
        }
    }

    /// A DATA message begins.
    public mutating func dataReceived(byteCount: Int) -> Action {
        switch state {
        case .awaitingBegin:
            return close(.violation("DATA before GET-BEGIN"))
        case .receiving(let remaining):
            guard UInt64(byteCount) <= remaining else { return close(.violation("DATA beyond the declared length")) }
            guard UInt64(byteCount) <= credit else { return close(.violation("DATA beyond the credit")) }
            credit -= UInt64(byteCount)
            let isLast = UInt64(byteCount) == remaining
            state = isLast ? .ended : .receiving(remaining: remaining - UInt64(byteCount))
            return .take(isLast: isLast)
        case .ended:
            return .ignore
        }
    }

    /// CREDIT was sent.
    public mutating func granted(byteCount: UInt64) {
        credit += byteCount
    }

    /// Whoever reads has taken bytes of a window: the CREDIT to send for it, when it is worth a message.
    public mutating func consumed(byteCount: Int, windowByteCount: Int) -> UInt64? {
        switch state {
        case .receiving(let remaining):
            consumedByteCount += UInt64(byteCount)
            guard consumedByteCount >= UInt64(windowByteCount) / 2, remaining > credit else { return nil }
            defer { consumedByteCount = 0 }
            credit += consumedByteCount
            return consumedByteCount
        case .awaitingBegin, .ended:
            return nil
        }
    }

    /// Whether GET-BEGIN is still to come: what HEAD-RESULT says comes before it.
    public var isAwaitingBegin: Bool {
        switch state {
        case .awaitingBegin: true
        case .receiving, .ended: false
        }
    }

    /// Whether the server is to send something, rather than we to grant something.
    public var isWaitingForPeer: Bool {
        switch state {
        case .awaitingBegin: true
        case .receiving: credit > 0
        case .ended: false
        }
    }

    /// ERROR came.
    public mutating func errorReceived(_ error: ReplicationError) -> Action {
        switch state {
        case .awaitingBegin, .receiving:
            state = .ended
            return .fail(error)
        case .ended:
            return .ignore
        }
    }

    private mutating func close(_ error: ReplicationError) -> Action {
        state = .ended
        return .closeConnection(error)
    }
}
