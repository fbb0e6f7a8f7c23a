// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol

/// A request with a small answer on the server: everything but puts, gets and pulls.
final class ServerQuery: ServerStream {
    private enum Answer: Sendable {
        case head(HeadResult?)
        case other(Message)
    }

    private let question: Message
    /// What is still to be sent; in order.
    private var answer = CircularBuffer<OutboundItem>()
    private var answerByteCount = 0

    /// `question` is the message that opens the stream.
    init(_ header: MessageHeader, _ question: Message, connection: ServerConnection) {
        self.question = question
        super.init(header, timeoutMilliseconds: question.timeoutMilliseconds, connection: connection)
    }

    override func begin() {
        if case .places(let request) = question, let places = connection.service.placesAtOnce(request.recordIDs) {
            return finished(.success(.other(.placesResult(places))))
        }
        let (service, fence, question) = (connection.service, connection.fence, question)
        serve { () async throws(ReplicationError) -> Answer in
            try await fence.admit(question.fenceDemand) { () async throws(ReplicationError) -> Answer in
                try await Self.answer(to: question, from: service, fence)
            }
        } finished: { [unowned self] result in
            finished(result)
        }
    }

    private static func answer(
        to question: Message,
        from service: any ReplicationService,
        _ fence: ServerFence
    ) async throws(ReplicationError) -> Answer {
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
        case .places(let request):
            // What can't be said at once is not worth a turn of a reading thread: the record is asked for instead.
            return .other(.placesResult(request.recordIDs.map { _ in nil }))
        case .amend(let request):
            return .other(.amendResult(try await service.amend(request)))
        case .amendments(let request):
            return .other(.amendmentsResult(try page(try await service.amendments(request), for: request)))
        case .digest(let request):
            let parts = try await service.digest(request)
            guard parts.count == request.partCount else {
                throw ReplicationError(.internal, "a digest of \(parts.count) parts, asked were \(request.partCount)")
            }
            return .other(.digestResult(parts))
        case .purgePermit(let request):
            return .other(.purgeResult(try await service.purge(request)))
        case .damage(let request):
            let report = try await service.damage(request)
            guard report.missing.count <= DamageRequest.maximumCount else {
                throw ReplicationError(.internal, "\(report.missing.count) records, asked were \(request.limit)")
            }
            return .other(.damageResult(report))
        case .healed(let request):
            return .other(.healedResult(remainingCount: try await service.healed(request)))
        case .drop(let request):
            let outcomes = try await service.drop(request)
            guard outcomes.count == request.items.count else {
                throw ReplicationError(.internal, "\(outcomes.count) outcomes, asked were \(request.items.count)")
            }
            return .other(.dropResult(outcomes))
        case .map:
            // The fence has done all that is to be done.
            let position = fence.position
            return .other(.mapResult(OrderStamp(term: position.term, mapEpoch: position.mapEpoch)))
        default:
            throw ReplicationError(.internal, "\(question.type.name) is no question")
        }
    }

    /// As much of the page as one message holds.
    private static func page(
        _ page: AmendmentPage,
        for request: AmendmentsRequest
    ) throws(ReplicationError) -> AmendmentPage {
        let wanted = Array(page.amendments.prefix(request.limit))
        let sent = AmendmentPage(
            fitting: wanted,
            hasMore: page.hasMore || wanted.count < page.amendments.count,
            isComplete: page.isComplete
        )
        guard sent.amendments.isEmpty == wanted.isEmpty else {
            throw ReplicationError(.tooLarge, "an amendment that is larger than the protocol allows")
        }
        return sent
    }

    override func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        switch message {
        case .cancel:
            cancelled()
        default:
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
            if case .amendmentsResult(let page) = message {
                answerByteCount = page.amendments.reduce(0) { $0 + $1.payload.readableBytes }
            }
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
        answerByteCount = head.metadata.readableBytes
        answer.append(contentsOf: head.messages)
    }
}

extension HeadResult {
    /// HEAD-RESULT, and METADATA with what does not fit into it.
    var messages: [OutboundItem] {
        let begin = HeadBegin(self)
        var messages: [OutboundItem] = [.message(.headResult(begin))]
        var rest = metadata
        rest.moveReaderIndex(forwardBy: begin.result.metadata.readableBytes)
        while let slice = rest.readSlice(length: min(rest.readableBytes, MessageHeader.maximumPayloadByteCount)),
            slice.readableBytes > 0
        {
            messages.append(.bytes(.metadata, slice, flags: []))
        }
        return messages
    }
}
