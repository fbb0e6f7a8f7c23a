// SPDX-License-Identifier: Apache-2.0

/// A get as the server sees it: the source is opened, then its bytes go out as far as the client's credit reaches.
///
/// Pure; one stream owns it. It counts bytes but holds none.
public struct GetSender: Sendable {
    /// What to send next.
    public enum Step: Hashable, Sendable {
        case sendData(byteCount: Int)
        /// The source has to hand over more bytes.
        case awaitSource
        /// The client has to grant more.
        case awaitCredit
        /// All is sent: the stream is over.
        case finish
        /// Nothing to do: not begun or already over.
        case idle
    }

    private enum State: Hashable, Sendable {
        /// The service looks for the record. Exits: `sending`, `ended`.
        case opening(credit: UInt64)
        /// GET-BEGIN is sent. Exits: `ended`.
        case sending(remaining: UInt64, credit: UInt64)
        case ended
    }

    private var state: State

    public init(_ request: GetRequest) {
        self.state = .opening(credit: request.credit)
    }

    /// The service has found the record: returns whether GET-BEGIN is to be sent (not when the stream has ended).
    public mutating func opened(_ begin: GetBegin) -> Bool {
        switch state {
        case .opening(let credit):
            state = .sending(remaining: begin.range.upperBound - begin.range.lowerBound, credit: credit)
            return true
        case .sending, .ended:
            return false
        }
    }

    /// CREDIT came.
    public mutating func creditReceived(byteCount: UInt64) {
        switch state {
        case .opening(let credit):
            let (sum, overflow) = credit.addingReportingOverflow(byteCount)
            state = .opening(credit: overflow ? .max : sum)
        case .sending(let remaining, let credit):
            let (sum, overflow) = credit.addingReportingOverflow(byteCount)
            state = .sending(remaining: remaining, credit: overflow ? .max : sum)
        case .ended:
            break
        }
    }

    /// What to send next, given the bytes at hand.
    ///
    /// What it says is then sent.
    public mutating func next(availableByteCount: Int) -> Step {
        switch state {
        case .opening, .ended:
            return .idle
        case .sending(let remaining, let credit):
            guard remaining > 0 else {
                state = .ended
                return .finish
            }
            guard availableByteCount > 0 else { return .awaitSource }
            guard credit > 0 else { return .awaitCredit }
            let limit = min(availableByteCount, MessageHeader.maximumPayloadByteCount)
            let byteCount = min(UInt64(limit), remaining, credit)
            state = .sending(remaining: remaining - byteCount, credit: credit - byteCount)
            return .sendData(byteCount: Int(byteCount))
        }
    }

    /// The bytes the source has still to deliver, beyond `heldByteCount` handed over and not sent.
    public func isShort(heldByteCount: Int) -> Bool {
        switch state {
        case .sending(let remaining, _): UInt64(heldByteCount) < remaining
        case .opening, .ended: false
        }
    }

    /// The stream is over by an error, CANCEL or the end of the connection: whether it was still open.
    public mutating func ended() -> Bool {
        switch state {
        case .opening, .sending:
            state = .ended
            return true
        case .ended:
            return false
        }
    }
}
