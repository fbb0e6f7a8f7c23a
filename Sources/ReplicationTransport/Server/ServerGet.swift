// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol

/// A get on the server: the task reads the source a little ahead of what ``GetSender`` lets out.
final class ServerGet: ServerStream {
    private let request: GetRequest
    private var sender: GetSender
    private var queue: SendQueue
    private var opening: GetBegin?
    private var isBeginSent = false

    init(_ header: MessageHeader, _ request: GetRequest, connection: ServerConnection) {
        self.request = request
        self.sender = GetSender(request)
        self.queue = SendQueue(limit: connection.limits.readAheadByteCount)
        super.init(header, timeoutMilliseconds: request.timeoutMilliseconds, connection: connection)
    }

    override func begin() {
        reserveMemory(byteCount: connection.limits.readAheadByteCount)
    }

    override func memoryGranted(afterWaiting: Bool) {
        let service = connection.service
        let found = service.getAtOnce(request.recordID, range: request.range)
        if let found, found.isWhole { return offer(GetBegin(found), found.first) }
        let request = request
        let bound = NIOLoopBound(self, eventLoop: connection.eventLoop)
        // On the event loop: the bytes come from a thread that reads and go to the loop, with nobody in between.
        serve(on: connection.executor) { () async throws(ReplicationError) -> Void in
            let source: GetSource
            if let found {
                source = found
            } else {
                source = try await service.get(request.recordID, range: request.range)
            }
            guard source.range.upperBound <= source.payloadByteCount else {
                throw ReplicationError(.internal, "the record's source has a range beyond its payload")
            }
            // The first bytes come along with GET-BEGIN.
            var chunk: ByteBuffer? = source.first
            if source.first.readableBytes == 0 { chunk = source.range.isEmpty ? nil : try await source.next() }
            var opening: GetBegin? = GetBegin(source)
            var left = UInt64(source.range.count)
            while true {
                left -= min(left, UInt64(chunk?.readableBytes ?? 0))
                // The last bytes bring the end along.
                let isLast = chunk == nil || left == 0
                let isWanted = await withCheckedContinuation { continuation in
                    bound.value.offer(opening, chunk, isLast: isLast, continuation)
                }
                guard isWanted, !isLast else { return }
                opening = nil
                chunk = try await source.next()
            }
        } finished: { [unowned self] result in
            switch result {
            case .success: break
            case .failure(let error): fail(error)
            }
        }
    }

    override func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        switch message {
        case .credit(let byteCount):
            sender.creditReceived(byteCount: byteCount)
            connection.requestTurn(self)
        case .cancel:
            cancelled()
        default:
            try super.received(header, message)
        }
    }

    override func nextOutbound() -> OutboundItem? {
        guard !isOver else { return nil }
        if let opening, !isBeginSent {
            isBeginSent = true
            return .message(.getBegin(opening))
        }
        switch sender.next(availableByteCount: queue.firstByteCount) {
        case .sendData(let byteCount): return .bytes(.data, queue.take(byteCount: byteCount), flags: [])
        case .awaitSource:
            if queue.isFinished { fail(ReplicationError(.internal, "the record's source ended early")) }
            return nil
        case .finish:
            end()
            return nil
        case .awaitCredit, .idle:
            return nil
        }
    }

    override func ended() {
        _ = sender.ended()
        queue.close()
    }

    /// All of it was in memory: no task is needed.
    private func offer(_ begin: GetBegin, _ payload: ByteBuffer) {
        if sender.opened(begin) { opening = begin }
        if payload.readableBytes > 0 { queue.append(payload) }
        queue.finish()
        connection.requestTurn(self)
        connection.sendAndFlush()
    }

    /// The task has opened the source (`begin`), read bytes, or found its end.
    private func offer(
        _ begin: GetBegin?,
        _ chunk: ByteBuffer?,
        isLast: Bool,
        _ continuation: CheckedContinuation<Bool, Never>
    ) {
        guard !isOver else {
            continuation.resume(returning: false)
            return
        }
        if let begin, sender.opened(begin) { opening = begin }
        if let chunk { queue.append(chunk) }
        if isLast {
            queue.finish()
            continuation.resume(returning: true)
        } else {
            queue.resumeWhenThereIsRoom(continuation)
        }
        connection.requestTurn(self)
        connection.sendAndFlush()
    }
}

extension GetSource {
    /// Whether all that is delivered has been read already.
    fileprivate var isWhole: Bool {
        range.upperBound <= payloadByteCount && UInt64(first.readableBytes) == UInt64(range.count)
    }
}

extension GetBegin {
    fileprivate init(_ source: GetSource) {
        self.init(
            payloadByteCount: source.payloadByteCount,
            payloadDigest: source.payloadDigest,
            range: source.range
        )
    }
}
