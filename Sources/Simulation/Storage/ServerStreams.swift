// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol
import SegmentFormat
import SegmentStore

/// A put on the storage node: the real `PutReceiver`, the bytes that it counts, and the store's steps.
final class ServerPut: ServerStream, DataTaking {
    private var receiver: PutReceiver
    private var request: PutRequest
    private var metadata = ByteBuffer()
    private var payload = ByteBuffer()
    /// Of a streamed put: what has come and is not written yet.
    private var chunks: [ByteBuffer] = []
    private var large: LargeRecord?
    private var isStarted = false
    private var isStepping = false
    private var isComplete = false

    init(_ id: UInt32, _ begin: PutBegin, _ connection: ServerEnd) {
        receiver = PutReceiver(
            begin,
            limits: PutReceiver.Limits(
                maximumPayloadByteCount: 1 << 20,
                maximumWholePayloadByteCount: Limits.wholeByteCount,
                windowByteCount: Limits.windowByteCount,
                streamCredit: Limits.streamCredit
            )
        )
        request = begin.request
        metadata.writeImmutableBuffer(begin.request.metadata)
        super.init(id, timeoutMilliseconds: begin.timeoutMilliseconds, connection)
    }

    override func begin() { perform(receiver.begin()) }
    override func memoryGranted(afterWaiting: Bool) { perform(receiver.memoryGranted(afterWaiting: afterWaiting)) }
    override func memoryRefused(_ error: ReplicationError) { perform(receiver.memoryRefused(error)) }
    override func othersWait() { perform(receiver.othersWait()) }
    override func cancelled() { perform(receiver.cancelled()) }
    override func fail(_ error: ReplicationError) { perform(receiver.failed(error)) }

    override func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        switch message {
        case .metadata(let bytes):
            let isUnsolicited = header.flags.contains(.unsolicited)
            if isUnsolicited { try connection.receivedUnsolicited(byteCount: bytes.readableBytes) }
            metadata.writeImmutableBuffer(bytes)
            perform(receiver.received(.metadata, byteCount: bytes.readableBytes, isUnsolicited: isUnsolicited))
        case .putCommit(let byteCount): perform(receiver.commitReceived(payloadByteCount: byteCount))
        default: try super.received(header, message)
        }
    }

    override func dataBegan(_ header: MessageHeader) throws(ReplicationError) -> (any DataTaking)? {
        let isUnsolicited = header.flags.contains(.unsolicited)
        if isUnsolicited { try connection.receivedUnsolicited(byteCount: header.payloadByteCount) }
        perform(receiver.received(.data, byteCount: header.payloadByteCount, isUnsolicited: isUnsolicited))
        return isOver ? nil : self
    }

    func dataPiece(_ piece: ByteBuffer) {
        if !isOver { payload.writeImmutableBuffer(piece) }
    }

    func dataEnded() {
        guard receiver.isStreamed, !isOver else { return }
        chunks.append(payload)
        payload = ByteBuffer()
        continueStreaming()
    }

    override func ended() {
        chunks = []
        payload = ByteBuffer()
        if receiver.isStreamed, isStarted, !isStepping { abortLarge() }
    }

    private func perform(_ actions: [PutReceiver.Action]) {
        for action in actions {
            switch action {
            case .reserveMemory(let byteCount): reserveMemory(byteCount: byteCount)
            case .grantCredit(let byteCount): connection.send(.credit(byteCount: byteCount), on: self)
            case .freeUnsolicited(let byteCount):
                if connection.world.has(.leakCredit), isOver || connection.world.chance(5) { continue }
                connection.freeUnsolicited(byteCount: byteCount)
            case .startStreaming: startStreaming()
            case .startWhole: startWhole()
            case .finishSequence:
                isComplete = true
                continueStreaming()
            case .sendAck(let outcome): connection.send(.putAck(outcome), on: self)
            case .sendError(let error): connection.send(.error(error), on: self)
            case .end: end()
            case .closeConnection(let error): connection.close(error)
            }
        }
    }

    private func startWhole() {
        var request = request
        request.metadata = metadata
        serve { answer in
            node.put(request, payload: payload, answer)
        } finished: { [self] result in
            finished(result)
        }
    }

    private func finished(_ result: Result<PutOutcome, ReplicationError>) {
        switch result {
        case .success(let outcome): perform(receiver.serviceSucceeded(outcome))
        case .failure(let error): perform(receiver.failed(error))
        }
    }

    // MARK: Streaming

    private func startStreaming() {
        isStarted = true
        let record = NewLargeRecord(
            id: request.recordID,
            type: RecordType(rawValue: request.recordType),
            metadata: metadata,
            payloadByteCount: request.payloadByteCount,
            payloadDigest: request.payloadDigest,
            mapEpoch: request.mapEpoch,
            writtenAtMilliseconds: connection.world.now / 1000
        )
        step { engine in
            Result { () throws(SegmentStoreError) in try engine.beginLarge(record) }
        } _: { [self] result in
            switch result {
            case .success(let begun):
                large = begun
                if isOver { abortLarge() } else { continueStreaming() }
            case .failure(let error): perform(receiver.failed(ReplicationError(put: error)))
            }
        }
    }

    private func continueStreaming() {
        guard isStarted, !isStepping, !isOver, var current = large else { return }
        if !chunks.isEmpty {
            let chunk = chunks.removeFirst()
            step { _ in
                let result = Result { () throws(SegmentStoreError) in try current.write(chunk) }
                return (current, result)
            } _: { [self] (written: LargeRecord, result: Result<Void, SegmentStoreError>) in
                large = written
                if isOver { return abortLarge() }
                switch result {
                case .success:
                    perform(receiver.consumed(byteCount: chunk.readableBytes))
                    continueStreaming()
                case .failure(let error):
                    abortLarge()
                    perform(receiver.failed(ReplicationError(put: error)))
                }
            }
        } else if isComplete {
            large = nil
            if connection.world.has(.acknowledgeBeforeSync) { return finished(.success(.stored)) }
            step { engine in
                Result { () throws(SegmentStoreError) in try engine.commit(current) }
            } _: { [self] (result: Result<AppendOutcome, SegmentStoreError>) in
                finished(result.map(PutOutcome.init(stored:)).mapError(ReplicationError.init(put:)))
            }
        }
    }

    /// One step of the store at a time; memory is kept meanwhile.
    private func step<Value>(_ work: @escaping (inout StoreEngine) -> Value, _ finished: @escaping (Value) -> Void) {
        isStepping = true
        serve { answer in
            node.step(100...900, work, answer)
        } finished: { [self] value in
            isStepping = false
            finished(value)
        }
    }

    private func abortLarge() {
        guard let record = large else { return }
        large = nil
        node.step { _ in
            record.discard()
        } _: { _ in
        }
    }
}

/// A get on the storage node: the real `GetSender` over the store's checked reads.
final class ServerGet: ServerStream {
    private let request: GetRequest
    private var sender: GetSender
    private var held: [ByteBuffer] = []
    private var opening: GetBegin?
    private var position = 0
    private var end_ = 0
    private var isReading = false

    init(_ id: UInt32, _ request: GetRequest, _ connection: ServerEnd) {
        self.request = request
        self.sender = GetSender(request)
        super.init(id, timeoutMilliseconds: request.timeoutMilliseconds, connection)
    }

    override func begin() { reserveMemory(byteCount: Limits.readAheadByteCount) }

    override func memoryGranted(afterWaiting: Bool) {
        serve { answer in
            node.head(request.recordID, answer)
        } finished: { [self] result in
            guard !isOver else { return }
            switch result {
            case .failure(let error): fail(error)
            case .success(nil): fail(ReplicationError(.notFound, "the node does not hold the record"))
            case .success(let head?):
                let whole = 0..<head.payloadByteCount
                let wanted = (request.range ?? whole).clamped(to: whole)
                position = Int(wanted.lowerBound)
                end_ = Int(wanted.upperBound)
                let begin = GetBegin(
                    payloadByteCount: head.payloadByteCount,
                    payloadDigest: head.payloadDigest,
                    range: wanted
                )
                if sender.opened(begin) { opening = begin }
                connection.requestTurn(self)
                readMore()
            }
        }
    }

    private func readMore() {
        guard !isReading, !isOver, position < end_, held.isEmpty else { return }
        isReading = true
        let range = position..<min(end_, position + Limits.readAheadByteCount)
        position = range.upperBound
        serve { answer in
            node.read(request.recordID, range, answer)
        } finished: { [self] result in
            isReading = false
            guard !isOver else { return }
            switch result {
            case .failure(let error): fail(error)
            case .success(let bytes):
                held.append(bytes)
                connection.requestTurn(self)
            }
        }
    }

    override func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        if case .credit(let byteCount) = message {
            sender.creditReceived(byteCount: byteCount)
            return connection.requestTurn(self)
        }
        try super.received(header, message)
    }

    override func nextOutbound() -> (Message, MessageFlags)? {
        guard !isOver else { return nil }
        if let begin = opening {
            opening = nil
            return (.getBegin(begin), [])
        }
        switch sender.next(availableByteCount: held.first?.readableBytes ?? 0) {
        case .sendData(let byteCount):
            guard let bytes = held[0].readSlice(length: byteCount) else { return nil }
            if held[0].readableBytes == 0 {
                held.removeFirst()
                readMore()
            }
            return (.data(bytes), [])
        case .finish:
            end()
            return nil
        case .awaitSource:
            readMore()
            return nil
        case .awaitCredit, .idle: return nil
        }
    }

    override func ended() { _ = sender.ended() }
}

/// HEAD and LIST on the storage node.
final class ServerQuery: ServerStream {
    enum Question {
        case head(RecordQuery)
        case list(ListRequest)

        var timeoutMilliseconds: UInt32 {
            switch self {
            case .head(let query): query.timeoutMilliseconds
            case .list(let request): request.timeoutMilliseconds
            }
        }
    }

    private let question: Question
    private var answer: Message?

    init(_ id: UInt32, _ question: Question, _ connection: ServerEnd) {
        self.question = question
        super.init(id, timeoutMilliseconds: question.timeoutMilliseconds, connection)
    }

    override func begin() {
        switch question {
        case .head(let query):
            serve { answer in
                node.head(query.recordID, answer)
            } finished: { [self] result in
                answered(result.map { .headResult($0.map { HeadBegin($0) }) })
            }
        case .list(let request):
            serve { answer in
                node.list(request, answer)
            } finished: { [self] result in
                answered(result.map { .listResult($0) })
            }
        }
    }

    private func answered(_ result: Result<Message, ReplicationError>) {
        guard !isOver else { return }
        switch result {
        case .success(let message):
            answer = message
            connection.requestTurn(self)
        case .failure(let error): fail(error)
        }
    }

    override func nextOutbound() -> (Message, MessageFlags)? {
        guard let message = answer else { return nil }
        answer = nil
        defer { end() }
        return (message, [])
    }
}
