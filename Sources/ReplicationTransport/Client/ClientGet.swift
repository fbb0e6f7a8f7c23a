// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import ReplicationProtocol

/// A get on the client: the bytes go into one buffer or, as they come, into a queue.
///
/// Memory is borrowed in one piece before the request is sent. When a payload proves larger than what was borrowed and
/// no more is to be had at once, the request is withdrawn, everything given back, and the request sent again once there
/// is enough: nobody holds memory while waiting for more.
final class ClientGet: ClientStream, InboundStream {
    /// Where the bytes go.
    enum Target {
        /// Into one buffer of at most so many bytes.
        case buffer(maximumByteCount: Int, (Result<ByteBuffer, ReplicationError>) -> Void)
        /// The same, and what HEAD-RESULT says beside it; `nil` from a server that does not say it with the payload.
        case record(maximumByteCount: Int, (Result<(head: HeadResult?, payload: ByteBuffer), ReplicationError>) -> Void)
        /// Into a queue; whoever reads it is told first what comes.
        case queue(ChunkQueue, windowByteCount: Int, (Result<GetBegin, ReplicationError>) -> Void)
    }

    /// Bytes that are borrowed for a payload of unknown length.
    private static let usualByteCount = 1 << 20

    private let recordID: RecordID
    private let range: Range<UInt64>?
    private let memory: ReplicationMemoryBudget
    private let target: Target
    private let eventLoop: any EventLoop
    private var receiver: GetReceiver?
    private var headReceiver = HeadReceiver()
    private var head: HeadResult?
    private var neededByteCount: Int
    private var lentByteCount = 0
    private var ticket: MemoryBudget.Ticket?
    /// Of a buffer target: what has arrived.
    ///
    /// Of a queue target: the DATA message that is arriving.
    private var bytes = ByteBuffer()
    private var isLastData = false
    private var hasTold = false
    private var isAbandoned = false

    init(
        _ recordID: RecordID,
        range: Range<UInt64>?,
        target: Target,
        memory: ReplicationMemoryBudget,
        eventLoop: any EventLoop,
        priority: RequestPriority,
        timeout: TimeAmount
    ) {
        self.recordID = recordID
        self.range = range
        self.target = target
        self.memory = memory
        self.eventLoop = eventLoop
        let wanted = range.map { $0.upperBound - $0.lowerBound } ?? UInt64(Self.usualByteCount)
        switch target {
        case .buffer(let maximumByteCount, _), .record(let maximumByteCount, _):
            neededByteCount = Int(min(wanted, UInt64(maximumByteCount)))
        case .queue(_, let windowByteCount, _): neededByteCount = windowByteCount
        }
        super.init(priority: priority, timeout: timeout)
    }

    // MARK: - Events

    override func prepare(_ ready: @escaping () -> Void) {
        let byteCount = neededByteCount
        let bound = NIOLoopBound((self, ready), eventLoop: eventLoop)
        let answer = memory.reserve(byteCount: byteCount, priority: priority, eventLoop: eventLoop) {
            Self.granted(byteCount, bound)
        }
        switch answer {
        case .granted:
            lentByteCount = byteCount
            ready()
        case .waiting(let ticket):
            self.ticket = ticket
        case .refused(let error):
            fail(error)
        }
    }

    private static func granted(_ byteCount: Int, _ bound: NIOLoopBound<(ClientGet, () -> Void)>) {
        let (stream, ready) = bound.value
        guard !stream.isOver else { return stream.memory.release(byteCount: byteCount, priority: stream.priority) }
        stream.ticket = nil
        stream.lentByteCount = byteCount
        ready()
    }

    override func begin() {
        let request = GetRequest(
            recordID: recordID,
            range: range,
            credit: UInt64(lentByteCount),
            timeoutMilliseconds: isStreamed ? 0 : timeoutMilliseconds
        )
        receiver = GetReceiver(request)
        connection?.sendOpening(.get(request), flags: isWithHead ? .withHead : [], on: self)
    }

    override func received(_ header: MessageHeader, _ message: Message) throws(ReplicationError) {
        switch message {
        case .headResult(let begin) where isWithHead && receiver?.isAwaitingBegin == true:
            try perform(headReceiver.resultReceived(begin))
        case .metadata(let bytes) where isWithHead && receiver?.isAwaitingBegin == true:
            try perform(headReceiver.metadataReceived(bytes))
        case .getBegin(let begin):
            guard !headReceiver.isCollecting else { throw .violation("GET-BEGIN before all METADATA") }
            try perform(receiver?.beginReceived(begin))
        case .error(let error):
            try perform(receiver?.errorReceived(error))
        default:
            try super.received(header, message)
        }
    }

    override func dataBegan(_ header: MessageHeader) throws(ReplicationError) -> (any InboundStream)? {
        try perform(receiver?.dataReceived(byteCount: header.payloadByteCount))
        if isStreamed { bytes.reserveCapacity(header.payloadByteCount) }
        return self
    }

    func dataPiece(_ piece: ByteBuffer) {
        guard !isOver else { return }
        bytes.writeImmutableBuffer(piece)
    }

    func dataEnded() {
        guard !isOver else { return }
        noteProgress()
        if case .queue(let queue, _, _) = target {
            queue.append(bytes)
            bytes = ByteBuffer()
        }
        if isLastData { finish() }
    }

    /// Whoever reads the queue has taken bytes.
    func consumed(byteCount: Int) {
        guard !isOver, case .queue(_, let windowByteCount, _) = target else { return }
        if let grant = receiver?.consumed(byteCount: byteCount, windowByteCount: windowByteCount) {
            noteProgress()
            connection?.send(.credit(byteCount: grant), on: self)
            connection?.sendAndFlush()
        }
    }

    /// Nobody reads the queue any more.
    func abandonedByReader() {
        isAbandoned = true
        if isOver { releaseMemory() }
        abandon(ReplicationError(.cancelled, "nobody reads the stream any more"))
    }

    override var isWaitingForPeer: Bool {
        isStreamed ? receiver?.isWaitingForPeer ?? true : true
    }

    override func failed(_ error: ReplicationError) {
        switch target {
        case .buffer(_, let completion):
            completion(.failure(error))
        case .record(_, let completion):
            completion(.failure(error))
        case .queue(let queue, _, let opening):
            queue.fail(error)
            if !hasTold { opening(.failure(error)) }
            // Without a reader nobody will call abandonedByReader().
            isAbandoned = isAbandoned || !hasTold
            hasTold = true
        }
    }

    override func ended() {
        bytes = ByteBuffer()
        if let ticket { _ = memory.withdraw(ticket) }
        // What is in a queue keeps its memory until it is read or dropped.
        if !isStreamed || isAbandoned { releaseMemory() }
    }

    // MARK: - Private

    private var isStreamed: Bool {
        if case .queue = target { true } else { false }
    }

    private var isWithHead: Bool {
        if case .record = target { true } else { false }
    }

    private func perform(_ action: HeadReceiver.Action) throws(ReplicationError) {
        switch action {
        case .wait: noteProgress()
        case .finish(let result): head = result
        case .closeConnection(let error): throw error
        }
    }

    private func perform(_ action: GetReceiver.Action?) throws(ReplicationError) {
        switch action {
        case .begin(let begin): try begun(begin)
        case .take(let isLast): isLastData = isLast
        case .fail(let error): fail(error)
        case .closeConnection(let error): throw error
        case .ignore, nil: break
        }
    }

    private func begun(_ begin: GetBegin) throws(ReplicationError) {
        noteProgress()
        let byteCount = begin.range.upperBound - begin.range.lowerBound
        switch target {
        case .buffer(let maximumByteCount, _), .record(let maximumByteCount, _):
            guard byteCount <= UInt64(maximumByteCount) else {
                let error = ReplicationError(
                    .tooLarge,
                    "\(byteCount) bytes; at most \(maximumByteCount) are read whole"
                )
                return abandon(error)
            }
            guard extendLoan(to: Int(byteCount)) else { return sendAgain(byteCount: Int(byteCount)) }
            bytes.reserveCapacity(Int(byteCount))
        case .queue(_, _, let opening):
            hasTold = true
            opening(.success(begin))
        }
        if byteCount == 0 { finish() }
    }

    /// Borrows and grants what the payload needs beyond what was expected; the claim is whether it was to be had.
    private func extendLoan(to byteCount: Int) -> Bool {
        guard byteCount > lentByteCount else { return true }
        let missing = byteCount - lentByteCount
        guard memory.reserveAtOnce(byteCount: missing, priority: priority) else { return false }
        lentByteCount = byteCount
        receiver?.granted(byteCount: UInt64(missing))
        connection?.send(.credit(byteCount: UInt64(missing)), on: self)
        return true
    }

    private func sendAgain(byteCount: Int) {
        guard let connection else { return }
        connection.send(.cancel, on: self)
        detach()
        releaseMemory()
        neededByteCount = byteCount
        headReceiver = HeadReceiver()
        connection.submit(self)
    }

    private func finish() {
        switch target {
        case .buffer(_, let completion):
            completion(.success(bytes))
        case .record(_, let completion):
            completion(.success((head, bytes)))
        case .queue(let queue, _, _):
            queue.finish()
        }
        end()
    }

    private func releaseMemory() {
        if lentByteCount > 0 { memory.release(byteCount: lentByteCount, priority: priority) }
        lentByteCount = 0
    }
}
