// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol

/// A pull on the server: the service fetches and stores, the client is told how far it is.
final class ServerPull: ServerStream {
    /// Between two messages about progress.
    private static let reportInterval = TimeAmount.seconds(1)

    private let request: PullRequest
    private var lastReport: NIODeadline?

    init(_ header: MessageHeader, _ request: PullRequest, connection: ServerConnection) {
        self.request = request
        super.init(header, timeoutMilliseconds: request.timeoutMilliseconds, connection: connection)
    }

    override func begin() {
        let (service, fence, request) = (connection.service, connection.fence, request)
        let demand = FenceDemand.addition(term: request.stamp.term, mapEpoch: request.stamp.mapEpoch)
        let eventLoop = connection.eventLoop
        let bound = NIOLoopBound(self, eventLoop: eventLoop)
        serve { () async throws(ReplicationError) -> PutOutcome in
            try await fence.admit(demand) { () async throws(ReplicationError) -> PutOutcome in
                try await service.pull(request) { progress in
                    eventLoop.execute { bound.value.report(progress) }
                }
            }
        } finished: { [unowned self] result in
            guard !isOver else { return }
            switch result {
            case .success(let outcome):
                connection.send(.pullResult(outcome), on: self)
                end()
            case .failure(let error):
                fail(error)
            }
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
