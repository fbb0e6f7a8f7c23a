// SPDX-License-Identifier: Apache-2.0

import NIOCore

/// A put as the client sees it: what may be sent next, and what an answer means.
///
/// Pure; one stream owns it. It counts bytes but holds none. Bytes go out on the stream's own credit where it has any,
/// else unsolicited, as far as the stream's and the connection's allowances reach.
public struct PutSender: Sendable {
    /// What to send next.
    public enum Step: Hashable, Sendable {
        /// The next bytes of the metadata.
        case sendMetadata(byteCount: Int, flags: MessageFlags)
        /// The next bytes of the payload.
        case sendData(byteCount: Int, flags: MessageFlags)
        case sendCommit
        /// The producer has to hand over more of the payload first.
        case awaitPayload
        /// CREDIT has to come first.
        case awaitCredit
        /// Everything is sent.
        case awaitAnswer
    }

    /// What an answer means.
    public enum Answer: Hashable, Sendable {
        case finish(PutOutcome)
        case fail(ReplicationError)
        case closeConnection(ReplicationError)
    }

    private enum State: Hashable, Sendable {
        /// PUT-BEGIN is sent. Exits: `committed`, `ended`.
        case sending(Sending)
        /// PUT-COMMIT is sent: until an answer comes, the outcome is unknown. Exits: `ended`.
        case committed
        case ended
    }

    private struct Sending: Hashable, Sendable {
        var metadataRemaining: Int
        var payloadRemaining: UInt64
        var unsolicitedRemaining: Int
        var credit: UInt64 = 0

        /// Takes up to `wanted` bytes off one of the credits; `nil` when there is none.
        mutating func charge(
            _ wanted: Int,
            _ connectionCredit: inout ConnectionCredit
        ) -> (byteCount: Int, flags: MessageFlags)? {
            let wanted = min(wanted, MessageHeader.maximumPayloadByteCount)
            if credit > 0 {
                let byteCount = Int(min(UInt64(wanted), credit))
                credit -= UInt64(byteCount)
                return (byteCount, [])
            }
            let byteCount = Int(min(UInt64(min(wanted, unsolicitedRemaining)), connectionCredit.byteCount))
            guard byteCount > 0 else { return nil }
            unsolicitedRemaining -= byteCount
            connectionCredit.spend(byteCount: byteCount)
            return (byteCount, .unsolicited)
        }
    }

    public let payloadByteCount: UInt64
    private var state: State

    /// A put whose PUT-BEGIN is being sent.
    public init(_ begin: PutBegin, streamCredit: UInt32) {
        self.payloadByteCount = begin.request.payloadByteCount
        self.state = .sending(
            Sending(
                metadataRemaining: begin.metadataByteCount - begin.request.metadata.readableBytes,
                payloadRemaining: begin.request.payloadByteCount,
                unsolicitedRemaining: Int(streamCredit)
            )
        )
    }

    /// Whether the put may have taken effect although no answer has come.
    public var isOutcomeUnknown: Bool {
        switch state {
        case .committed: true
        case .sending, .ended: false
        }
    }

    /// Whether the server is to grant or answer something, rather than the producer to deliver.
    public func isWaitingForPeer(availableByteCount: Int) -> Bool {
        switch state {
        case .committed: true
        case .sending(let sending): availableByteCount > 0 || sending.metadataRemaining > 0
        case .ended: false
        }
    }

    /// What to send next, given the payload bytes at hand, whether more may follow, and the connection's credit.
    ///
    /// What it says is then sent. A put is committed only when its producer has said that it has no more.
    public mutating func next(
        availableByteCount: Int,
        isPayloadComplete: Bool,
        connectionCredit: inout ConnectionCredit
    ) -> Step {
        switch state {
        case .sending(var sending):
            if sending.metadataRemaining > 0 {
                guard let (byteCount, flags) = sending.charge(sending.metadataRemaining, &connectionCredit) else {
                    return .awaitCredit
                }
                sending.metadataRemaining -= byteCount
                state = .sending(sending)
                return .sendMetadata(byteCount: byteCount, flags: flags)
            }
            guard sending.payloadRemaining > 0 else {
                guard isPayloadComplete else { return .awaitPayload }
                state = .committed
                return .sendCommit
            }
            guard availableByteCount > 0 else { return .awaitPayload }
            let wanted = Int(min(UInt64(availableByteCount), sending.payloadRemaining))
            guard let (byteCount, flags) = sending.charge(wanted, &connectionCredit) else { return .awaitCredit }
            sending.payloadRemaining -= UInt64(byteCount)
            state = .sending(sending)
            return .sendData(byteCount: byteCount, flags: flags)
        case .committed, .ended:
            return .awaitAnswer
        }
    }

    /// CREDIT came for the stream.
    public mutating func creditReceived(byteCount: UInt64) throws(ReplicationError) {
        switch state {
        case .sending(var sending):
            let (credit, overflow) = sending.credit.addingReportingOverflow(byteCount)
            guard !overflow else { throw .violation("more credit than there are bytes") }
            sending.credit = credit
            state = .sending(sending)
        case .committed, .ended:
            break  // It crossed with the last bytes, which went out unsolicited.
        }
    }

    /// PUT-ACK came.
    public mutating func ackReceived(_ outcome: PutOutcome) -> Answer {
        switch state {
        case .committed:
            state = .ended
            return .finish(outcome)
        case .sending, .ended:
            return .closeConnection(.violation("PUT-ACK before PUT-COMMIT"))
        }
    }

    /// ERROR came for the stream.
    public mutating func errorReceived(_ error: ReplicationError) -> Answer {
        state = .ended
        return .fail(error)
    }

    /// The connection is gone, or time is up, or the caller lost interest: the error to fail with.
    public mutating func interrupted(_ error: ReplicationError) -> ReplicationError {
        defer { state = .ended }
        switch state {
        case .committed:
            return ReplicationError(.outcomeUnknown, "no acknowledgement of a complete put: \(error)")
        case .sending, .ended:
            return error
        }
    }
}
