// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import ReplicationProtocol

/// A put on the ingest node: the real `PutSender` and the bytes that it counts.
final class ClientPut: ClientStream {
    private let request: PutRequest
    private var rest: ByteBuffer
    private var sender: PutSender?
    private let completion: (Result<PutOutcome, ReplicationError>) -> Void

    init(
        _ process: Process,
        _ request: PutRequest,
        payload: ByteBuffer,
        completion: @escaping (Result<PutOutcome, ReplicationError>) -> Void
    ) {
        self.request = request
        self.rest = payload
        self.completion = completion
        super.init(process)
    }

    override func begin() {
        guard let connection else { return }
        let begin = PutBegin(request, timeoutMilliseconds: UInt32(Limits.requestTimeout / 1000))
        sender = PutSender(begin, streamCredit: connection.agreement?.limits.streamCredit ?? 0)
        connection.send(.putBegin(begin), on: self)
        connection.requestTurn(self)
    }

    override func nextOutbound() -> (Message, MessageFlags)? {
        guard !isOver, let connection else { return nil }
        // The producer hands over a little at a time.
        let available = min(rest.readableBytes, 2048)
        let step = sender?.next(
            availableByteCount: available,
            isPayloadComplete: rest.readableBytes == 0,
            connectionCredit: &connection.unsolicitedCredit
        )
        switch step {
        case .sendData(let byteCount, let flags):
            guard let bytes = rest.readSlice(length: byteCount) else { return nil }
            return (.data(bytes), flags)
        case .sendCommit: return (.putCommit(payloadByteCount: request.payloadByteCount), [])
        case .awaitCredit:
            connection.awaitsCredit(self)
            return nil
        case .sendMetadata, .awaitPayload, .awaitAnswer, nil: return nil
        }
    }

    override func received(_ message: Message) throws(ReplicationError) {
        switch message {
        case .credit(let byteCount):
            try sender?.creditReceived(byteCount: byteCount)
            connection?.requestTurn(self)
        case .putAck(let outcome): try finish(sender?.ackReceived(outcome))
        case .error(let error): try finish(sender?.errorReceived(error))
        default: try super.received(message)
        }
    }

    private func finish(_ answer: PutSender.Answer?) throws(ReplicationError) {
        switch answer {
        case .finish(let outcome):
            end()
            completion(.success(outcome))
        case .fail(let error): fail(error)
        case .closeConnection(let error): throw error
        case nil: throw ReplicationError(.protocolViolation, "an answer to a put that was not sent")
        }
    }

    override var isWaitingForPeer: Bool { sender?.isWaitingForPeer(availableByteCount: rest.readableBytes) ?? true }
    override func failed(_ error: ReplicationError) { completion(.failure(error)) }
    override func interruption(_ error: ReplicationError) -> ReplicationError { sender?.interrupted(error) ?? error }
}

/// A get on the ingest node: the real `GetReceiver`, into one buffer.
final class ClientGet: ClientStream, DataTaking {
    private let recordID: RecordID
    private var receiver: GetReceiver?
    private var bytes = ByteBuffer()
    private var isLast = false
    private let completion: (Result<ByteBuffer, ReplicationError>) -> Void

    init(_ process: Process, _ recordID: RecordID, completion: @escaping (Result<ByteBuffer, ReplicationError>) -> Void)
    {
        self.recordID = recordID
        self.completion = completion
        super.init(process)
    }

    override func begin() {
        let request = GetRequest(
            recordID: recordID,
            range: nil,
            credit: Limits.getCredit,
            timeoutMilliseconds: UInt32(Limits.requestTimeout / 1000)
        )
        receiver = GetReceiver(request)
        connection?.send(.get(request), on: self)
    }

    override func received(_ message: Message) throws(ReplicationError) {
        switch message {
        case .getBegin(let begin): try perform(receiver?.beginReceived(begin))
        case .error(let error): try perform(receiver?.errorReceived(error))
        default: try super.received(message)
        }
    }

    override func dataBegan(_ header: MessageHeader) throws(ReplicationError) -> (any DataTaking)? {
        try perform(receiver?.dataReceived(byteCount: header.payloadByteCount))
        return self
    }

    func dataPiece(_ piece: ByteBuffer) {
        if !isOver { bytes.writeImmutableBuffer(piece) }
    }

    func dataEnded() {
        guard !isOver else { return }
        if isLast { return finish() }
        let window = Int(Limits.getCredit)
        if let grant = receiver?.consumed(byteCount: bytes.readableBytes - taken, windowByteCount: window) {
            connection?.send(.credit(byteCount: grant), on: self)
        }
        taken = bytes.readableBytes
    }

    private var taken = 0

    private func perform(_ action: GetReceiver.Action?) throws(ReplicationError) {
        switch action {
        case .begin(let begin):
            if begin.range.isEmpty { finish() }
        case .take(let isLast): self.isLast = isLast
        case .fail(let error): fail(error)
        case .closeConnection(let error): throw error
        case .ignore, nil: break
        }
    }

    private func finish() {
        end()
        completion(.success(bytes))
    }

    override func failed(_ error: ReplicationError) {
        if process.world.has(.partialGetAsWhole), bytes.readableBytes > 0 { return completion(.success(bytes)) }
        completion(.failure(error))
    }
}

/// HEAD on the ingest node: the real `HeadReceiver`.
final class ClientHead: ClientStream {
    private let recordID: RecordID
    private var receiver = HeadReceiver()
    private let completion: (Result<HeadResult?, ReplicationError>) -> Void

    init(
        _ process: Process,
        _ recordID: RecordID,
        completion: @escaping (Result<HeadResult?, ReplicationError>) -> Void
    ) {
        self.recordID = recordID
        self.completion = completion
        super.init(process)
    }

    override func begin() {
        let query = RecordQuery(recordID: recordID, timeoutMilliseconds: UInt32(Limits.requestTimeout / 1000))
        connection?.send(.head(query), on: self)
    }

    override func received(_ message: Message) throws(ReplicationError) {
        let action: HeadReceiver.Action
        switch message {
        case .headResult(let begin): action = receiver.resultReceived(begin)
        case .metadata(let bytes): action = receiver.metadataReceived(bytes)
        case .error(let error): return fail(error)
        default: return try super.received(message)
        }
        switch action {
        case .wait: break
        case .finish(let result):
            end()
            completion(.success(result))
        case .closeConnection(let error): throw error
        }
    }

    override func failed(_ error: ReplicationError) { completion(.failure(error)) }
}

/// LIST on the ingest node.
final class ClientList: ClientStream {
    private let request: ListRequest
    private let completion: (Result<[RecordID], ReplicationError>) -> Void

    init(
        _ process: Process,
        _ request: ListRequest,
        completion: @escaping (Result<[RecordID], ReplicationError>) -> Void
    ) {
        self.request = request
        self.completion = completion
        super.init(process)
    }

    override func begin() { connection?.send(.list(request), on: self) }

    override func received(_ message: Message) throws(ReplicationError) {
        switch message {
        case .listResult(let ids):
            end()
            completion(.success(ids))
        case .error(let error): fail(error)
        default: try super.received(message)
        }
    }

    override func failed(_ error: ReplicationError) { completion(.failure(error)) }
}
