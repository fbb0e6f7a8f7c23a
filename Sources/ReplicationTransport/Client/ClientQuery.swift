// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import ReplicationProtocol

/// A request with a small answer on the client: HEAD, VERIFY, LIST, STATUS.
final class ClientQuery: ClientStream {
    /// What is asked.
    enum Question: Sendable {
        case head(RecordID)
        case verify(RecordID)
        case list(group: PlacementGroup, after: RecordID?, limit: Int)
        case status
    }

    enum Answer: Sendable {
        case head(HeadResult?)
        case verified
        case ids([RecordID])
        case status(NodeStatusReport)
    }

    private let question: Question
    private let completion: (Result<Answer, ReplicationError>) -> Void
    private var head = HeadReceiver()

    init(
        _ question: Question,
        timeout: TimeAmount,
        completion: @escaping (Result<Answer, ReplicationError>) -> Void
    ) {
        self.question = question
        self.completion = completion
        super.init(timeout: timeout)
    }

    override func begin() {
        let timeout = timeoutMilliseconds
        let message: Message =
            switch question {
            case .head(let id): .head(RecordQuery(recordID: id, timeoutMilliseconds: timeout))
            case .verify(let id): .verify(RecordQuery(recordID: id, timeoutMilliseconds: timeout))
            case .list(let group, let after, let limit):
                .list(ListRequest(group: group, after: after, limit: limit, timeoutMilliseconds: timeout))
            case .status: .status(timeoutMilliseconds: timeout)
            }
        connection?.send(message, on: self)
    }

    override func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        switch (message, question) {
        case (.error(let error), _): fail(error)
        case (.headResult(let begin), .head): try perform(head.resultReceived(begin))
        case (.metadata(let bytes), .head): try perform(head.metadataReceived(bytes))
        case (.verifyResult, .verify): succeed(.verified)
        case (.listResult(let ids), .list(_, let after, let limit)):
            try check(ids, after: after, limit: limit)
            succeed(.ids(ids))
        case (.statusResult(let report), .status): succeed(.status(report))
        case (_, .head), (_, .verify), (_, .list), (_, .status): try super.received(header, message)
        }
    }

    override func failed(_ error: ReplicationError) {
        completion(.failure(error))
    }

    private func perform(_ action: HeadReceiver.Action) throws(ReplicationError) {
        switch action {
        case .wait: break
        case .finish(let result): succeed(.head(result))
        case .closeConnection(let error): throw error
        }
    }

    /// Callers page by the last id: an answer out of order would send them in circles.
    private func check(_ ids: [RecordID], after: RecordID?, limit: Int) throws(ReplicationError) {
        var last = after
        for id in ids {
            guard last.map({ $0 < id }) ?? true, ids.count <= limit else {
                throw ReplicationError(.protocolViolation, "a LIST-RESULT that is too long or not ascending")
            }
            last = id
        }
    }

    private func succeed(_ answer: Answer) {
        completion(.success(answer))
        end()
    }
}
