// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol
import Testing

/// Puts as transcripts, one side at a time.
struct PutTests {
    private static let limits = PutReceiver.Limits(
        maximumPayloadByteCount: 10_000,
        maximumWholePayloadByteCount: 2000,
        windowByteCount: 400,
        streamCredit: 100
    )

    private static func begin(payload: UInt64, metadata: Int = 8, inline: Int? = nil) -> PutBegin {
        let bytes = ByteBuffer(repeating: 1, count: inline ?? metadata)
        return PutBegin(
            request: Samples.put(payloadByteCount: payload, metadata: bytes),
            metadataByteCount: metadata,
            timeoutMilliseconds: 0
        )
    }

    private static func receiver(payload: UInt64, metadata: Int = 8, inline: Int? = nil) -> PutReceiver {
        PutReceiver(begin(payload: payload, metadata: metadata, inline: inline), limits: limits)
    }

    // MARK: - Server

    @Test func aSmallPutNeedsNoCredit() {
        var put = Self.receiver(payload: 100)
        #expect(!put.isStreamed)
        #expect(put.begin() == [.reserveMemory(byteCount: 108)])
        #expect(put.memoryGranted(afterWaiting: false).isEmpty)
        #expect(put.received(.data, byteCount: 60, isUnsolicited: true) == [.freeUnsolicited(byteCount: 60)])
        #expect(put.received(.data, byteCount: 40, isUnsolicited: true) == [.freeUnsolicited(byteCount: 40)])
        #expect(put.commitReceived(payloadByteCount: 100) == [.startWhole])
        #expect(put.serviceSucceeded(.stored) == [.sendAck(.stored), .end])
        #expect(put.failed(ReplicationError(.internal, "too late")).isEmpty)
        #expect(put.cancelled().isEmpty)
    }

    @Test func anEmptyPutIsPossible() {
        var put = Self.receiver(payload: 0, metadata: 0)
        #expect(put.begin() == [.reserveMemory(byteCount: 0)])
        #expect(put.memoryGranted(afterWaiting: false).isEmpty)
        #expect(put.commitReceived(payloadByteCount: 0) == [.startWhole])
        #expect(put.serviceSucceeded(.alreadyStored) == [.sendAck(.alreadyStored), .end])
    }

    @Test func aLargerPutIsGrantedAllItNeeds() {
        var put = Self.receiver(payload: 1500)
        #expect(put.begin() == [.reserveMemory(byteCount: 1508)])
        #expect(put.memoryGranted(afterWaiting: false) == [.grantCredit(byteCount: 1500)])
        #expect(put.received(.data, byteCount: 100, isUnsolicited: true) == [.freeUnsolicited(byteCount: 100)])
        #expect(put.received(.data, byteCount: 1400, isUnsolicited: false).isEmpty)
        #expect(put.commitReceived(payloadByteCount: 1500) == [.startWhole])
    }

    @Test func aPutThatWaitsForMemoryHoldsItsUnsolicitedBytes() {
        var put = Self.receiver(payload: 100)
        _ = put.begin()
        #expect(put.received(.data, byteCount: 100, isUnsolicited: true).isEmpty)
        #expect(put.commitReceived(payloadByteCount: 100).isEmpty)
        #expect(put.memoryGranted(afterWaiting: true) == [.freeUnsolicited(byteCount: 100), .startWhole])
    }

    @Test func aPutThatGotItsMemoryIsFreedFromTheConnectionsCredit() {
        var put = Self.receiver(payload: 100)
        _ = put.begin()
        _ = put.memoryGranted(afterWaiting: false)
        _ = put.received(.data, byteCount: 30, isUnsolicited: true)
        #expect(put.othersWait() == [.grantCredit(byteCount: 70)])
        #expect(put.othersWait().isEmpty)
        #expect(put.received(.data, byteCount: 70, isUnsolicited: false).isEmpty)
        #expect(put.commitReceived(payloadByteCount: 100) == [.startWhole])
    }

    @Test func aLargePutIsStreamedThroughAWindow() {
        var put = Self.receiver(payload: 5000)
        #expect(put.isStreamed)
        #expect(put.begin() == [.reserveMemory(byteCount: 408)])
        #expect(put.memoryGranted(afterWaiting: false) == [.grantCredit(byteCount: 300), .startStreaming])
        #expect(put.received(.data, byteCount: 100, isUnsolicited: true) == [.freeUnsolicited(byteCount: 100)])
        #expect(put.received(.data, byteCount: 300, isUnsolicited: false).isEmpty)
        #expect(put.consumed(byteCount: 149).isEmpty)
        #expect(put.consumed(byteCount: 1) == [.grantCredit(byteCount: 150)])
        #expect(put.received(.data, byteCount: 151, isUnsolicited: false).closeReason != nil)
    }

    @Test func aStreamedPutStartsWhenItsMetadataIsThere() {
        var put = Self.receiver(payload: 5000, metadata: 50, inline: 20)
        #expect(put.begin() == [.reserveMemory(byteCount: 450)])
        #expect(put.memoryGranted(afterWaiting: false) == [.grantCredit(byteCount: 330)])
        #expect(put.received(.metadata, byteCount: 10, isUnsolicited: true) == [.freeUnsolicited(byteCount: 10)])
        #expect(
            put.received(.metadata, byteCount: 20, isUnsolicited: true)
                == [.freeUnsolicited(byteCount: 20), .startStreaming]
        )
    }

    @Test func aStreamedPutEndsItsSequenceAtCommit() {
        var put = PutReceiver(
            Self.begin(payload: 2001),
            limits: PutReceiver.Limits(
                maximumPayloadByteCount: 10_000,
                maximumWholePayloadByteCount: 2000,
                windowByteCount: 4000,
                streamCredit: 3000
            )
        )
        _ = put.begin()
        #expect(put.memoryGranted(afterWaiting: false) == [.startStreaming])
        _ = put.received(.data, byteCount: 2001, isUnsolicited: true)
        #expect(put.commitReceived(payloadByteCount: 2001) == [.finishSequence])
        #expect(put.consumed(byteCount: 2001).isEmpty)
        #expect(put.serviceSucceeded(.stored) == [.sendAck(.stored), .end])
    }

    @Test func whatIsTooLargeIsRefusedAtOnce() {
        var put = Self.receiver(payload: 10_001)
        let actions = put.begin()
        #expect(actions.count == 2)
        #expect(actions.last == .end)
        guard case .sendError(let error) = actions.first else {
            Issue.record("no ERROR")
            return
        }
        #expect(error.code == .tooLarge)
        // What was under way already is ignored.
        #expect(put.received(.data, byteCount: 50, isUnsolicited: true).isEmpty)
        #expect(put.commitReceived(payloadByteCount: 10_001).isEmpty)
    }

    @Test func endingWhileWaitingFreesWhatIsHeld() {
        let error = ReplicationError(.deadlineExceeded, "late")
        var put = Self.receiver(payload: 100)
        _ = put.begin()
        _ = put.received(.data, byteCount: 70, isUnsolicited: true)
        #expect(put.failed(error) == [.freeUnsolicited(byteCount: 70), .sendError(error), .end])
        #expect(put.memoryGranted(afterWaiting: true).isEmpty)

        put = Self.receiver(payload: 100)
        _ = put.begin()
        _ = put.received(.data, byteCount: 70, isUnsolicited: true)
        #expect(put.cancelled() == [.freeUnsolicited(byteCount: 70), .end])
    }

    @Test func aServiceThatSucceedsTooEarlyIsAFault() {
        var put = Self.receiver(payload: 5000)
        _ = put.begin()
        _ = put.memoryGranted(afterWaiting: false)
        guard case .sendError(let error) = put.serviceSucceeded(.stored).first else {
            Issue.record("acknowledged before its end")
            return
        }
        #expect(error.code == .internal)
    }

    @Test func bytesThatWereNotAllowedCloseTheConnection() {
        func fresh(_ prepare: (inout PutReceiver) -> Void) -> PutReceiver {
            var put = Self.receiver(payload: 1500, metadata: 50, inline: 20)
            _ = put.begin()
            prepare(&put)
            return put
        }
        var put = fresh { _ in }
        #expect(put.received(.data, byteCount: 1, isUnsolicited: true).closeReason != nil, "DATA before METADATA")
        put = fresh { _ in }
        #expect(put.received(.metadata, byteCount: 31, isUnsolicited: true).closeReason != nil, "too much METADATA")
        put = fresh { _ in }
        #expect(put.received(.metadata, byteCount: 30, isUnsolicited: false).closeReason != nil, "without credit")
        put = fresh { _ in }
        #expect(put.commitReceived(payloadByteCount: 1500).closeReason != nil, "commit before the end")
        put = fresh { put in
            _ = put.received(.metadata, byteCount: 30, isUnsolicited: true)
        }
        #expect(
            put.received(.data, byteCount: 71, isUnsolicited: true).closeReason != nil,
            "beyond the stream's credit"
        )
        put = fresh { put in
            _ = put.memoryGranted(afterWaiting: false)
            _ = put.received(.metadata, byteCount: 30, isUnsolicited: false)
            _ = put.received(.data, byteCount: 1500, isUnsolicited: false)
        }
        #expect(put.received(.data, byteCount: 1, isUnsolicited: true).closeReason != nil, "beyond the payload")
        put = fresh { put in
            _ = put.memoryGranted(afterWaiting: false)
            _ = put.received(.metadata, byteCount: 30, isUnsolicited: false)
            _ = put.received(.data, byteCount: 1500, isUnsolicited: false)
        }
        #expect(put.commitReceived(payloadByteCount: 1499).closeReason != nil, "another length than declared")
    }

    @Test func nothingMayFollowCommit() {
        func committed() -> PutReceiver {
            var put = Self.receiver(payload: 10)
            _ = put.begin()
            _ = put.memoryGranted(afterWaiting: false)
            _ = put.received(.data, byteCount: 10, isUnsolicited: true)
            _ = put.commitReceived(payloadByteCount: 10)
            return put
        }
        var put = committed()
        #expect(put.received(.data, byteCount: 1, isUnsolicited: true).closeReason != nil)
        put = committed()
        #expect(put.commitReceived(payloadByteCount: 10).closeReason != nil)
    }

    // MARK: - Client

    @Test func aSmallPutIsSentInOneGo() {
        var credit = ConnectionCredit(limit: 2_000_000)
        var put = PutSender(Self.begin(payload: 526_000), streamCredit: 1_000_000)
        var steps: [PutSender.Step] = []
        var available = 526_000
        repeat {
            steps.append(put.next(availableByteCount: available, isPayloadComplete: true, connectionCredit: &credit))
            if case .sendData(let byteCount, _) = steps.last { available -= byteCount }
        } while steps.last != .awaitAnswer
        #expect(
            steps == [
                .sendData(byteCount: 262_144, flags: .unsolicited), .sendData(byteCount: 262_144, flags: .unsolicited),
                .sendData(byteCount: 1712, flags: .unsolicited), .sendCommit, .awaitAnswer,
            ]
        )
        #expect(credit.byteCount == 1_474_000)
        #expect(put.isOutcomeUnknown)
        #expect(put.ackReceived(.stored) == .finish(.stored))
        #expect(!put.isOutcomeUnknown)
    }

    @Test func metadataGoesFirst() {
        var credit = ConnectionCredit(limit: 25)
        var put = PutSender(Self.begin(payload: 10, metadata: 40, inline: 10), streamCredit: 1000)
        #expect(
            put.next(availableByteCount: 10, isPayloadComplete: true, connectionCredit: &credit)
                == .sendMetadata(byteCount: 25, flags: .unsolicited)
        )
        #expect(put.next(availableByteCount: 10, isPayloadComplete: true, connectionCredit: &credit) == .awaitCredit)
        #expect(throws: Never.self) { try put.creditReceived(byteCount: 7) }
        #expect(
            put.next(availableByteCount: 10, isPayloadComplete: true, connectionCredit: &credit)
                == .sendMetadata(byteCount: 5, flags: [])
        )
        #expect(
            put.next(availableByteCount: 10, isPayloadComplete: true, connectionCredit: &credit)
                == .sendData(byteCount: 2, flags: [])
        )
        #expect(put.next(availableByteCount: 8, isPayloadComplete: true, connectionCredit: &credit) == .awaitCredit)
        #expect(throws: Never.self) { try credit.received(byteCount: 25) }
        #expect(
            put.next(availableByteCount: 8, isPayloadComplete: true, connectionCredit: &credit)
                == .sendData(byteCount: 8, flags: .unsolicited)
        )
        #expect(put.next(availableByteCount: 0, isPayloadComplete: true, connectionCredit: &credit) == .sendCommit)
    }

    @Test func ownCreditIsUsedBeforeTheConnections() throws {
        var credit = ConnectionCredit(limit: 100)
        var put = PutSender(Self.begin(payload: 300), streamCredit: 50)
        try put.creditReceived(byteCount: 200)
        #expect(
            put.next(availableByteCount: 300, isPayloadComplete: true, connectionCredit: &credit)
                == .sendData(byteCount: 200, flags: [])
        )
        #expect(
            put.next(availableByteCount: 100, isPayloadComplete: true, connectionCredit: &credit)
                == .sendData(byteCount: 50, flags: .unsolicited)
        )
        #expect(put.next(availableByteCount: 50, isPayloadComplete: true, connectionCredit: &credit) == .awaitCredit)
        #expect(credit.byteCount == 50)
    }

    @Test func aProducerIsWaitedFor() {
        var credit = ConnectionCredit(limit: 100)
        var put = PutSender(Self.begin(payload: 30), streamCredit: 50)
        #expect(put.next(availableByteCount: 0, isPayloadComplete: true, connectionCredit: &credit) == .awaitPayload)
        #expect(!put.isWaitingForPeer(availableByteCount: 0))
        #expect(
            put.next(availableByteCount: 20, isPayloadComplete: true, connectionCredit: &credit)
                == .sendData(byteCount: 20, flags: .unsolicited)
        )
        // A producer with more to say than announced is not believed, and the put not committed behind its back.
        #expect(
            put.next(availableByteCount: 20, isPayloadComplete: true, connectionCredit: &credit)
                == .sendData(byteCount: 10, flags: .unsolicited)
        )
        #expect(put.next(availableByteCount: 10, isPayloadComplete: false, connectionCredit: &credit) == .awaitPayload)
        #expect(put.next(availableByteCount: 0, isPayloadComplete: true, connectionCredit: &credit) == .sendCommit)
        #expect(put.isWaitingForPeer(availableByteCount: 0))
    }

    @Test func interruptionsBeforeAndAfterCommitDiffer() {
        let lost = ReplicationError(.connectionLost, "gone")
        var credit = ConnectionCredit(limit: 100)
        var before = PutSender(Self.begin(payload: 10), streamCredit: 50)
        _ = before.next(availableByteCount: 10, isPayloadComplete: true, connectionCredit: &credit)
        #expect(before.interrupted(lost) == lost)
        var after = PutSender(Self.begin(payload: 10), streamCredit: 50)
        _ = after.next(availableByteCount: 10, isPayloadComplete: true, connectionCredit: &credit)
        _ = after.next(availableByteCount: 0, isPayloadComplete: true, connectionCredit: &credit)
        let error = after.interrupted(lost)
        #expect(error.code == .outcomeUnknown)
        #expect(error.retry == .sameNode)
    }

    @Test func anAcknowledgementBeforeCommitIsAnOffence() {
        var put = PutSender(Self.begin(payload: 10), streamCredit: 50)
        guard case .closeConnection(let error) = put.ackReceived(.stored) else {
            Issue.record("believed")
            return
        }
        #expect(error.code == .protocolViolation)
    }

    @Test func aRefusalIsBelievedAtAnyTime() {
        let refusal = ReplicationError(.diskFull, "full")
        var put = PutSender(Self.begin(payload: 10), streamCredit: 50)
        #expect(put.errorReceived(refusal) == .fail(refusal))
    }
}

extension [PutReceiver.Action] {
    /// Why the connection is to be closed, when that is the only action.
    fileprivate var closeReason: ReplicationError? {
        guard count == 1, case .closeConnection(let error) = first else { return nil }
        return error
    }
}
