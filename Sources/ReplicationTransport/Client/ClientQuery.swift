// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import ReplicationProtocol

/// What a message that came on a stream of one question means.
enum QueryReading<Answer: Sendable>: Sendable {
    case answer(Answer)
    /// More is to come; the peer is at work.
    case progress
    /// It has no place there.
    case unexpected
}

/// A request with a small answer on the client: everything but puts and gets.
final class ClientQuery<Answer: Sendable>: ClientStream {
    typealias Reader = @Sendable (Message) throws(ReplicationError) -> QueryReading<Answer>

    private let question: @Sendable (_ timeoutMilliseconds: UInt32) -> Message
    private let read: Reader
    private let completion: (Result<Answer, ReplicationError>) -> Void

    /// `question` makes the message that opens the stream, `read` tells what comes back.
    init(
        _ question: @escaping @Sendable (_ timeoutMilliseconds: UInt32) -> Message,
        priority: RequestPriority,
        timeout: TimeAmount,
        read: @escaping Reader,
        completion: @escaping (Result<Answer, ReplicationError>) -> Void
    ) {
        self.question = question
        self.read = read
        self.completion = completion
        super.init(priority: priority, timeout: timeout)
    }

    override func begin() {
        connection?.sendOpening(question(timeoutMilliseconds), on: self)
    }

    override func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        if case .error(let error) = message { return fail(error) }
        switch try read(message) {
        case .answer(let answer):
            completion(.success(answer))
            end()
        case .progress: noteProgress()
        case .unexpected: try super.received(header, message)
        }
    }

    override func failed(_ error: ReplicationError) {
        completion(.failure(error))
    }
}

/// HEAD on the client, whose answer may come in several messages.
final class ClientHead: ClientStream {
    private let recordID: RecordID
    private let completion: (Result<HeadResult?, ReplicationError>) -> Void
    private var receiver = HeadReceiver()

    init(
        _ recordID: RecordID,
        priority: RequestPriority,
        timeout: TimeAmount,
        completion: @escaping (Result<HeadResult?, ReplicationError>) -> Void
    ) {
        self.recordID = recordID
        self.completion = completion
        super.init(priority: priority, timeout: timeout)
    }

    override func begin() {
        let query = RecordQuery(recordID: recordID, timeoutMilliseconds: timeoutMilliseconds)
        connection?.sendOpening(.head(query), on: self)
    }

    override func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        switch message {
        case .error(let error): fail(error)
        case .headResult(let begin): try perform(receiver.resultReceived(begin))
        case .metadata(let bytes): try perform(receiver.metadataReceived(bytes))
        default: try super.received(header, message)
        }
    }

    override func failed(_ error: ReplicationError) {
        completion(.failure(error))
    }

    private func perform(_ action: HeadReceiver.Action) throws(ReplicationError) {
        switch action {
        case .wait: break
        case .finish(let result):
            completion(.success(result))
            end()
        case .closeConnection(let error): throw error
        }
    }
}
