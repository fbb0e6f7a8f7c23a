// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol

/// A put on the client: keeps the bytes that ``PutSender`` counts.
final class ClientPut: ClientStream {
    typealias Completion = (Result<PutOutcome, ReplicationError>) -> Void

    private let request: PutRequest
    /// Metadata that does not fit into PUT-BEGIN.
    private var laterMetadata: ByteBuffer
    private var payload: SendQueue
    private var sender: PutSender?
    private let completion: Completion
    private let isStreamed: Bool
    private var offeredByteCount: UInt64 = 0

    /// A put whose payload is at hand, or (`nil`) will be handed over with ``offer(_:_:)``.
    init(
        _ request: PutRequest,
        payload: [ByteBuffer]?,
        sendAheadByteCount: Int,
        priority: RequestPriority,
        timeout: TimeAmount,
        completion: @escaping Completion
    ) {
        self.request = request
        self.laterMetadata = request.metadata
        self.payload = payload.map { SendQueue(whole: $0) } ?? SendQueue(limit: sendAheadByteCount)
        self.completion = completion
        self.isStreamed = payload == nil
        super.init(priority: priority, timeout: timeout)
    }

    override func begin() {
        guard let connection else { return }
        let begin = PutBegin(request, timeoutMilliseconds: isStreamed ? 0 : timeoutMilliseconds)
        laterMetadata.moveReaderIndex(forwardBy: begin.request.metadata.readableBytes)
        sender = PutSender(begin, streamCredit: connection.streamCredit)
        connection.sendOpening(.putBegin(begin), on: self)
        connection.requestTurn(self)
    }

    override func nextOutbound() -> OutboundItem? {
        guard !isOver, let connection else { return nil }
        let step = sender?.next(
            availableByteCount: payload.firstByteCount,
            isPayloadComplete: payload.isFinished,
            connectionCredit: &connection.unsolicitedCredit
        )
        if isStreamed { noteProgress() }
        switch step {
        case .sendMetadata(let byteCount, let flags):
            guard let bytes = laterMetadata.readSlice(length: byteCount) else { return nil }
            return .bytes(.metadata, bytes, flags: flags)
        case .sendData(let byteCount, let flags):
            return .bytes(.data, payload.take(byteCount: byteCount), flags: flags)
        case .sendCommit:
            return .message(.putCommit(payloadByteCount: request.payloadByteCount))
        case .awaitCredit:
            connection.awaitsCredit(self)
            return nil
        case .awaitPayload, .awaitAnswer, nil:
            return nil
        }
    }

    override func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        switch message {
        case .credit(let byteCount):
            try sender?.creditReceived(byteCount: byteCount)
            connection?.requestTurn(self)
        case .putAck(let outcome):
            try finish(sender?.ackReceived(outcome))
        case .error(let error):
            try finish(sender?.errorReceived(error) ?? .fail(error))
        default:
            try super.received(header, message)
        }
    }

    override var isWaitingForPeer: Bool {
        sender?.isWaitingForPeer(availableByteCount: payload.firstByteCount) ?? true
    }

    override func failed(_ error: ReplicationError) {
        completion(.failure(error))
    }

    override func interruption(_ error: ReplicationError) -> ReplicationError {
        sender?.interrupted(error) ?? error
    }

    override func ended() {
        payload.close()
    }

    /// The producer hands over more of the payload, or (`nil`) has no more; it is told whether to go on.
    func offer(_ chunk: ByteBuffer?, _ continuation: CheckedContinuation<Bool, Never>) {
        guard !isOver else {
            continuation.resume(returning: false)
            return
        }
        if let chunk {
            payload.append(chunk)
            offeredByteCount += UInt64(chunk.readableBytes)
        } else {
            payload.finish()
        }
        guard payload.isFinished ? offeredByteCount == request.payloadByteCount : true,
            offeredByteCount <= request.payloadByteCount
        else {
            continuation.resume(returning: false)
            abandon(
                ReplicationError(
                    .invalidRequest,
                    "the payload has \(offeredByteCount) bytes, announced were \(request.payloadByteCount)"
                )
            )
            return
        }
        payload.resumeWhenThereIsRoom(continuation)
        connection?.requestTurn(self)
        connection?.sendAndFlush()
    }

    private func finish(_ answer: PutSender.Answer?) throws(ReplicationError) {
        switch answer {
        case .finish(let outcome):
            completion(.success(outcome))
            end()
        case .fail(let error):
            fail(error)
        case .closeConnection(let error):
            throw error
        case nil:
            throw ReplicationError(.protocolViolation, "an answer to a put that was not sent")
        }
    }
}
