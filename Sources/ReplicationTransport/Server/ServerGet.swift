// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol

/// A get on the server: the task reads the source a little ahead of what ``GetSender`` lets out.
final class ServerGet: ServerStream {
    private let request: GetRequest
    private var sender: GetSender
    private var queue: SendQueue
    private let isWithHead: Bool
    /// What goes out before the payload's bytes, in order.
    private var opening = CircularBuffer<OutboundItem>()

    init(_ header: MessageHeader, _ request: GetRequest, connection: ServerConnection) {
        self.request = request
        self.isWithHead = header.flags.contains(.withHead)
        self.sender = GetSender(request)
        self.queue = SendQueue(limit: connection.limits.readAheadByteCount)
        super.init(header, timeoutMilliseconds: request.timeoutMilliseconds, connection: connection)
    }

    override func begin() {
        reserveMemory(byteCount: connection.limits.readAheadByteCount)
    }

    override func memoryGranted(afterWaiting: Bool) {
        let service = connection.service
        let (request, isBackground) = (request, priority.isBackground)
        // In the background not even tried: what is not in memory would be read ahead into it.
        let found = isBackground ? nil : service.getAtOnce(request.recordID, range: request.range)
        if let found, found.isWhole { return offer(found) }
        let bound = NIOLoopBound(self, eventLoop: connection.eventLoop)
        // On the event loop: the bytes come from a thread that reads and go to the loop, with nobody in between.
        serve(on: connection.executor) { () async throws(ReplicationError) -> Void in
            let source: GetSource
            if let found {
                source = found
            } else {
                source = try await service.get(request.recordID, range: request.range, isBackground: isBackground)
            }
            guard source.range.upperBound <= source.payloadByteCount else {
                throw ReplicationError(.internal, "the record's source has a range beyond its payload")
            }
            // The first bytes come along with GET-BEGIN.
            var chunk: ByteBuffer? = source.first
            if source.first.readableBytes == 0 { chunk = source.range.isEmpty ? nil : try await source.next() }
            var opening: GetSource? = source
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
        if let next = opening.popFirst() { return next }
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
        opening.removeAll()
        queue.close()
    }

    private func open(_ source: GetSource) {
        let begin = GetBegin(source)
        guard sender.opened(begin) else { return }
        // What is too large for the protocol HEAD says.
        if isWithHead, let metadata = source.metadata,
            metadata.readableBytes <= PutRequest.maximumMetadataByteCount
        {
            let head = HeadResult(
                metadata: metadata,
                payloadByteCount: source.payloadByteCount,
                payloadDigest: source.payloadDigest
            )
            opening.append(contentsOf: head.messages)
        }
        opening.append(.message(.getBegin(begin)))
    }

    /// All of it was in memory: no task is needed.
    private func offer(_ source: GetSource) {
        open(source)
        if source.first.readableBytes > 0 { queue.append(source.first) }
        queue.finish()
        connection.requestTurn(self)
        connection.sendAndFlush()
    }

    /// The task has opened the source (`begin`), read bytes, or found its end.
    private func offer(
        _ source: GetSource?,
        _ chunk: ByteBuffer?,
        isLast: Bool,
        _ continuation: CheckedContinuation<Bool, Never>
    ) {
        guard !isOver else {
            continuation.resume(returning: false)
            return
        }
        if let source { open(source) }
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
