// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol

/// A pack that is built, read whole, read records from or removed by the server: the client is told how far that is.
final class ServerPackOrder: ServerStream {
    /// Between two messages about progress.
    private static let reportInterval = TimeAmount.seconds(1)

    private let question: Message
    private var lastReport: NIODeadline?

    /// `question` is BUILD-PACK, VERIFY-PACK, RECALL or REMOVE-PACK.
    init(_ header: MessageHeader, _ question: Message, connection: ServerConnection) {
        self.question = question
        super.init(header, timeoutMilliseconds: question.timeoutMilliseconds, connection: connection)
    }

    override func begin() {
        let (service, fence, question) = (connection.service, connection.fence, question)
        let eventLoop = connection.eventLoop
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        serve { () async throws(ReplicationError) -> Message in
            try await fence.admit(question.fenceDemand) { () async throws(ReplicationError) -> Message in
                try await Self.answer(to: question, from: service) { progress in
                    eventLoop.execute { bound.value.report(progress) }
                }
            }
        } finished: { [unowned self] result in
            guard !isOver else { return }
            switch result {
            case .success(let message):
                connection.send(message, on: self)
                end()
            case .failure(let error):
                fail(error)
            }
        }
    }

    private static func answer(
        to question: Message,
        from service: any ReplicationService,
        progress: @escaping @Sendable (PullProgress) -> Void
    ) async throws(ReplicationError) -> Message {
        switch question {
        case .buildPack(let request):
            return .buildPackResult(try await service.buildPack(request, progress: progress))
        case .verifyPack(let request):
            try await service.verifyPack(request, progress: progress)
            return .verifyPackResult
        case .recall(let request):
            return .recallResult(try await service.recall(request, progress: progress))
        case .removePack(let request):
            try await service.removePack(request)
            return .removePackResult
        default:
            throw ReplicationError(.internal, "\(question.type.name) is no order about a pack")
        }
    }

    override func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        guard case .cancel = message else { return try super.received(header, message) }
        cancelled()
    }

    private func report(_ progress: PullProgress) {
        guard !isOver else { return }
        let now = NIODeadline.now()
        if let lastReport, now - lastReport < Self.reportInterval { return }
        lastReport = now
        connection.send(.pullProgress(progress), on: self)
        connection.sendAndFlush()
    }
}
