// SPDX-License-Identifier: Apache-2.0

public import Checksums
public import NIOCore
public import Placement
public import ReplicationProtocol

extension ReplicationClient {
    /// Reads a record's payload, or a range of it, into one buffer; `.notFound` when the peer does not have it.
    ///
    /// What of the range lies beyond the payload's end is left out; a range that begins beyond it is
    /// `.rangeNotSatisfiable`. More than `maximumGetByteCount` bytes are refused as `.tooLarge`.
    public func get(
        _ id: RecordID,
        range: Range<UInt64>? = nil,
        priority: RequestPriority = .foreground,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> ByteBuffer {
        try await perform(
            RequestSlot<ClientGet>(self),
            makeGet(id, range: range, priority: priority, timeout: timeout)
        )
    }

    /// Makes the stream of a get into one buffer, on the event loop.
    func makeGet(
        _ id: RecordID,
        range: Range<UInt64>?,
        priority: RequestPriority,
        timeout: TimeAmount?
    ) -> @Sendable (@escaping (Result<ByteBuffer, ReplicationError>) -> Void) -> ClientGet {
        let timeout = timeout ?? configuration.requestTimeout
        let (memory, maximum, eventLoop) = (configuration.memory, configuration.maximumGetByteCount, eventLoop)
        return { completion in
            ClientGet(
                id,
                range: range,
                target: .buffer(maximumByteCount: maximum, completion),
                memory: memory,
                eventLoop: eventLoop,
                priority: priority,
                timeout: timeout
            )
        }
    }

    /// Reads all of a record in one request: what HEAD-RESULT says (`nil` from a node that is older than that), and the payload
    /// into one buffer; `.tooLarge` when that has more than `maximumByteCount` bytes.
    public func record(
        _ id: RecordID,
        maximumByteCount: Int,
        priority: RequestPriority,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> (head: HeadResult?, payload: ByteBuffer) {
        let timeout = timeout ?? configuration.requestTimeout
        let (memory, eventLoop) = (configuration.memory, eventLoop)
        let maximum = min(maximumByteCount, configuration.maximumGetByteCount)
        return try await perform(RequestSlot<ClientGet>(self)) { completion in
            ClientGet(
                id,
                range: nil,
                target: .record(maximumByteCount: maximum, completion),
                memory: memory,
                eventLoop: eventLoop,
                priority: priority,
                timeout: timeout
            )
        }
    }

    /// Reads a record's payload, or a range of it, as it comes; `.notFound` when the peer does not have it.
    ///
    /// `timeout` is the time the peer may take for any one step. Dropping the result withdraws the request.
    public func getStream(
        _ id: RecordID,
        range: Range<UInt64>? = nil,
        priority: RequestPriority = .foreground,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> RecordStream {
        let timeout = timeout ?? configuration.requestTimeout
        let (memory, window, eventLoop) = (configuration.memory, configuration.streamWindowByteCount, eventLoop)
        let slot = RequestSlot<ClientGet>(self)
        let queue = ChunkQueue { byteCount in
            slot.withStream { stream in stream?.consumed(byteCount: byteCount) }
        }
        let begin: GetBegin = try await perform(slot) { completion in
            ClientGet(
                id,
                range: range,
                target: .queue(queue, windowByteCount: window, completion),
                memory: memory,
                eventLoop: eventLoop,
                priority: priority,
                timeout: timeout
            )
        }
        let chunks = ChunkSequence(queue) {
            slot.withStream { stream in stream?.abandonedByReader() }
        }
        return RecordStream(
            payloadByteCount: begin.payloadByteCount,
            payloadDigest: begin.payloadDigest,
            range: begin.range,
            chunks: chunks
        )
    }

    /// What the peer knows of a record; `nil` when it is sure not to have it, `.unknown` is thrown when it is not.
    public func head(
        _ id: RecordID,
        priority: RequestPriority = .foreground,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> HeadResult? {
        let timeout = timeout ?? configuration.requestTimeout
        return try await perform(RequestSlot<ClientHead>(self)) { completion in
            ClientHead(id, priority: priority, timeout: timeout, completion: completion)
        }
    }

    /// Has the peer read a record completely and check it.
    public func verify(
        _ id: RecordID,
        priority: RequestPriority = .foreground,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) {
        try await ask(priority, timeout) {
            .verify(RecordQuery(recordID: id, timeoutMilliseconds: $0))
        } read: {
            if case .verifyResult = $0 { .answer(()) } else { .unexpected }
        }
    }

    /// The ids of a group's records above `after`, ascending; at most `limit` of them, which is 1 to 8192.
    public func list(
        group: PlacementGroup,
        after: RecordID? = nil,
        limit: Int,
        priority: RequestPriority = .foreground,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> [RecordID] {
        guard limit >= 1, limit <= ListRequest.maximumCount else {
            throw ReplicationError(
                .invalidRequest,
                "a limit of \(limit); 1 ... \(ListRequest.maximumCount) are allowed"
            )
        }
        return try await ask(priority, timeout) {
            .list(ListRequest(group: group, after: after, limit: limit, timeoutMilliseconds: $0))
        } read: { message throws(ReplicationError) in
            guard case .listResult(let ids) = message else { return .unexpected }
            // Callers page by the last id: an answer out of order would send them in circles.
            guard ids.count <= limit, Self.isAscending(ids, after: after) else {
                throw ReplicationError(.protocolViolation, "a LIST-RESULT that is too long or not ascending")
            }
            return .answer(ids)
        }
    }

    /// How the peer is doing.
    public func status(
        priority: RequestPriority = .control,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> NodeStatusReport {
        try await ask(priority, timeout) {
            .status(timeoutMilliseconds: $0)
        } read: {
            if case .statusResult(let report) = $0 { .answer(report) } else { .unexpected }
        }
    }

    /// The time a message takes to the peer and back.
    ///
    /// Ends when the connection does; it has no timeout of its own.
    public func ping() async throws(ReplicationError) -> TimeAmount {
        let core = core
        let result = await withCheckedContinuation { continuation in
            eventLoop.execute { core.value.ping(continuation) }
        }
        return try result.get()
    }

    /// Asks one question: `question` makes the message, `read` tells the answer.
    func ask<Answer: Sendable>(
        _ priority: RequestPriority,
        _ timeout: TimeAmount?,
        _ question: @escaping @Sendable (_ timeoutMilliseconds: UInt32) -> Message,
        read: @escaping ClientQuery<Answer>.Reader
    ) async throws(ReplicationError) -> Answer {
        let timeout = timeout ?? configuration.requestTimeout
        return try await perform(RequestSlot<ClientQuery<Answer>>(self)) { completion in
            ClientQuery(question, priority: priority, timeout: timeout, read: read, completion: completion)
        }
    }

    private static func isAscending(_ ids: [RecordID], after: RecordID?) -> Bool {
        var last = after
        for id in ids {
            guard last.map({ $0 < id }) ?? true else { return false }
            last = id
        }
        return true
    }
}

/// A payload that is being read: what it is, and its bytes as they come.
public struct RecordStream: Sendable {
    /// The whole payload's length and digest.
    public let payloadByteCount: UInt64
    public let payloadDigest: SHA256Digest
    /// The part of it that is delivered.
    public let range: Range<UInt64>
    /// The bytes, for one task to read once.
    public let chunks: ChunkSequence
}
