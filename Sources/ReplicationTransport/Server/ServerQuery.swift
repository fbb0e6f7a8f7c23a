// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol

/// A request with a small answer on the server: HEAD, VERIFY, LIST, STATUS.
final class ServerQuery: ServerStream {
    /// What is asked.
    enum Question: Sendable {
        case head(RecordQuery)
        case verify(RecordQuery)
        case list(ListRequest)
        case status(timeoutMilliseconds: UInt32)

        fileprivate var timeoutMilliseconds: UInt32 {
            switch self {
            case .head(let query), .verify(let query): query.timeoutMilliseconds
            case .list(let request): request.timeoutMilliseconds
            case .status(let timeoutMilliseconds): timeoutMilliseconds
            }
        }
    }

    private enum Answer: Sendable {
        case head(HeadResult?)
        case other(Message)
    }

    private let question: Question
    /// What is still to be sent; in order.
    private var answer = CircularBuffer<OutboundItem>()
    private var answerByteCount = 0

    init(id: UInt32, _ question: Question, connection: ServerConnection) {
        self.question = question
        super.init(id: id, timeoutMilliseconds: question.timeoutMilliseconds, connection: connection)
    }

    override func begin() {
        let service = connection.service
        let question = question
        serve { () async throws(ReplicationError) -> Answer in
            switch question {
            case .head(let query):
                return .head(try await service.head(query.recordID))
            case .verify(let query):
                try await service.verify(query.recordID)
                return .other(.verifyResult)
            case .list(let request):
                let ids = try await service.list(group: request.group, after: request.after, limit: request.limit)
                return .other(.listResult(Array(ids.prefix(request.limit))))
            case .status:
                return .other(.statusResult(await service.nodeStatus()))
            }
        } finished: { [unowned self] result in
            finished(result)
        }
    }

    override func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        switch message {
        case .cancel:
            cancelled()
        case .credit, .hello, .helloAck, .ping, .pong, .goAway, .error, .putBegin, .metadata, .data, .putCommit,
            .putAck,
            .get, .getBegin, .head, .headResult, .verify, .verifyResult, .list, .listResult, .status, .statusResult:
            try super.received(header, message)
        }
    }

    override func nextOutbound() -> OutboundItem? {
        let item = answer.popFirst()
        if answer.isEmpty, item != nil { answered() }
        return item
    }

    override func ended() {
        answer.removeAll()
        connection.answerSent(byteCount: answerByteCount)
        answerByteCount = 0
    }

    private func answered() {
        // The last item is written when this returns; nothing else is sent on the stream.
        end()
    }

    private func finished(_ result: Result<Answer, ReplicationError>) {
        guard !isOver else { return }
        switch result {
        case .success(.other(let message)):
            answer.append(.message(message))
        case .success(.head(let head)):
            guard head?.metadata.readableBytes ?? 0 <= PutRequest.maximumMetadataByteCount else {
                return fail(ReplicationError(.tooLarge, "the record's metadata is larger than the protocol allows"))
            }
            appendHead(head)
        case .failure(let error):
            return fail(error)
        }
        guard connection.answerWaits(byteCount: answerByteCount) else {
            answerByteCount = 0
            return fail(ReplicationError(.overloaded, "too many answers wait for the client to read them"))
        }
        connection.requestTurn(self)
    }

    private func appendHead(_ head: HeadResult?) {
        guard let head else {
            answer.append(.message(.headResult(nil)))
            return
        }
        let begin = HeadBegin(head)
        answerByteCount = head.metadata.readableBytes
        answer.append(.message(.headResult(begin)))
        var rest = head.metadata
        rest.moveReaderIndex(forwardBy: begin.result.metadata.readableBytes)
        while rest.readableBytes > 0 {
            let byteCount = min(rest.readableBytes, MessageHeader.maximumPayloadByteCount)
            guard let slice = rest.readSlice(length: byteCount) else { return }
            answer.append(.bytes(.metadata, slice, flags: []))
        }
    }
}
