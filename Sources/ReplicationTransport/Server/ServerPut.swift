// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol

/// A put on the server: keeps the bytes that ``PutReceiver`` counts, and calls the service.
final class ServerPut: ServerStream, InboundStream {
    private var receiver: PutReceiver
    private var request: PutRequest
    private let metadataByteCount: Int
    private var metadata: ByteBuffer
    /// Of a whole put: what has arrived.
    ///
    /// Of a streamed one: the DATA message that is arriving.
    private var payload = ByteBuffer()
    private var queue: ChunkQueue?
    /// Chunks of a streamed put that arrived before its memory.
    private var earlyChunks: [ByteBuffer] = []

    init(_ header: MessageHeader, _ begin: PutBegin, connection: ServerConnection) {
        self.receiver = PutReceiver(begin, limits: connection.putLimits)
        self.request = begin.request
        self.metadataByteCount = begin.metadataByteCount
        // Its own storage: the receive buffer that PUT-BEGIN came in is not kept.
        self.metadata = ByteBuffer()
        self.metadata.writeImmutableBuffer(begin.request.metadata)
        self.request.metadata = ByteBuffer()
        super.init(header, timeoutMilliseconds: begin.timeoutMilliseconds, connection: connection)
    }

    override func begin() {
        // Before any memory is asked for; the fence is asked again when the put is carried out.
        if let error = connection.fence.refusal(of: demand) { return perform(receiver.failed(error)) }
        perform(receiver.begin())
    }

    override func memoryGranted(afterWaiting: Bool) {
        metadata.reserveCapacity(metadataByteCount)
        // All of it at once, so that each byte is copied once, from the receive buffer to here.
        if !receiver.isStreamed { payload.reserveCapacity(Int(request.payloadByteCount)) }
        perform(receiver.memoryGranted(afterWaiting: afterWaiting))
    }

    override func memoryRefused(_ error: ReplicationError) {
        perform(receiver.memoryRefused(error))
    }

    override func othersWait() {
        perform(receiver.othersWait())
    }

    override func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        switch message {
        case .metadata(let bytes):
            let isUnsolicited = header.flags.contains(.unsolicited)
            if isUnsolicited { try connection.receivedUnsolicited(byteCount: bytes.readableBytes) }
            metadata.writeImmutableBuffer(bytes)
            perform(receiver.received(.metadata, byteCount: bytes.readableBytes, isUnsolicited: isUnsolicited))
        case .putCommit(let payloadByteCount):
            perform(receiver.commitReceived(payloadByteCount: payloadByteCount))
        case .cancel:
            perform(receiver.cancelled())
        default:
            try super.received(header, message)
        }
    }

    override func dataBegan(_ header: MessageHeader) throws(ReplicationError) -> (any InboundStream)? {
        let byteCount = header.payloadByteCount
        let isUnsolicited = header.flags.contains(.unsolicited)
        if isUnsolicited { try connection.receivedUnsolicited(byteCount: byteCount) }
        perform(receiver.received(.data, byteCount: byteCount, isUnsolicited: isUnsolicited))
        guard !isOver else { return nil }
        if receiver.isStreamed { payload = connection.allocator.buffer(capacity: byteCount) }
        return self
    }

    func dataPiece(_ piece: ByteBuffer) {
        guard !isOver else { return }
        payload.writeImmutableBuffer(piece)
    }

    func dataEnded() {
        guard receiver.isStreamed, !isOver else { return }
        let chunk = payload
        payload = ByteBuffer()
        if let queue { queue.append(chunk) } else { earlyChunks.append(chunk) }
    }

    override func cancelled() {
        perform(receiver.cancelled())
    }

    override func fail(_ error: ReplicationError) {
        perform(receiver.failed(error))
    }

    override func ended() {
        payload = ByteBuffer()
        metadata = ByteBuffer()
        earlyChunks = []
        queue?.fail(ReplicationError(.cancelled, "the put was withdrawn"))
    }

    private func perform(_ actions: [PutReceiver.Action]) {
        for action in actions {
            switch action {
            case .reserveMemory(let byteCount): reserveMemory(byteCount: byteCount)
            case .grantCredit(let byteCount): connection.send(.credit(byteCount: byteCount), on: self)
            case .freeUnsolicited(let byteCount): connection.freeUnsolicited(byteCount: byteCount)
            case .startStreaming: startStreaming()
            case .startWhole: start(.whole(takePayload()))
            case .finishSequence: queue?.finish()
            case .sendAck(let outcome): connection.send(.putAck(outcome), on: self)
            case .sendError(let error): connection.send(.error(error), on: self)
            case .end: end()
            case .closeConnection(let error): connection.close(error)
            }
        }
    }

    private func startStreaming() {
        let bound = NIOLoopBound(self, eventLoop: connection.eventLoop)
        let eventLoop = connection.eventLoop
        let queue = ChunkQueue { byteCount in
            eventLoop.execute { bound.value.consumed(byteCount: byteCount) }
        }
        self.queue = queue
        for chunk in earlyChunks { queue.append(chunk) }
        earlyChunks = []
        start(.stream(ChunkSequence(queue) {}))
    }

    private func consumed(byteCount: Int) {
        guard !isOver else { return }
        perform(receiver.consumed(byteCount: byteCount))
        connection.sendAndFlush()
    }

    private func start(_ data: PutData) {
        var request = request
        request.metadata = metadata
        metadata = ByteBuffer()
        let service = connection.service
        let put = request
        let fence = connection.fence
        let demand = demand
        serve { () async throws(ReplicationError) -> PutOutcome in
            try await fence.admit(demand) { () async throws(ReplicationError) -> PutOutcome in
                try await service.put(put, data: data)
            }
        } finished: { [unowned self] result in
            switch result {
            case .success(let outcome): perform(receiver.serviceSucceeded(outcome))
            case .failure(let error): perform(receiver.failed(error))
            }
        }
    }

    private var demand: FenceDemand { .addition(term: request.term, mapEpoch: request.mapEpoch) }

    private func takePayload() -> ByteBuffer {
        defer { payload = ByteBuffer() }
        return payload
    }
}
