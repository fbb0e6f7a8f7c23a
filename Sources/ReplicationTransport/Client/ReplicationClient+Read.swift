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
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> ByteBuffer {
        let timeout = timeout ?? configuration.requestTimeout
        let (memory, maximum, eventLoop) = (configuration.memory, configuration.maximumGetByteCount, eventLoop)
        return try await perform(RequestSlot<ClientGet>(self)) { completion in
            ClientGet(
                id,
                range: range,
                target: .buffer(maximumByteCount: maximum, completion),
                memory: memory,
                eventLoop: eventLoop,
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
    public func head(_ id: RecordID, timeout: TimeAmount? = nil) async throws(ReplicationError) -> HeadResult? {
        switch try await ask(.head(id), timeout) {
        case .head(let result): return result
        case .verified, .ids, .status: throw Self.mismatch
        }
    }

    /// Has the peer read a record completely and check it.
    public func verify(_ id: RecordID, timeout: TimeAmount? = nil) async throws(ReplicationError) {
        switch try await ask(.verify(id), timeout) {
        case .verified: return
        case .head, .ids, .status: throw Self.mismatch
        }
    }

    /// The ids of a group's records above `after`, ascending; at most `limit` of them, which is 1 to 8192.
    public func list(
        group: PlacementGroup,
        after: RecordID? = nil,
        limit: Int,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> [RecordID] {
        guard limit >= 1, limit <= ListRequest.maximumCount else {
            throw ReplicationError(
                .invalidRequest,
                "a limit of \(limit); 1 ... \(ListRequest.maximumCount) are allowed"
            )
        }
        switch try await ask(.list(group: group, after: after, limit: limit), timeout) {
        case .ids(let ids): return ids
        case .head, .verified, .status: throw Self.mismatch
        }
    }

    /// How the peer is doing.
    public func status(timeout: TimeAmount? = nil) async throws(ReplicationError) -> NodeStatusReport {
        switch try await ask(.status, timeout) {
        case .status(let report): return report
        case .head, .verified, .ids: throw Self.mismatch
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

    private func ask(
        _ question: ClientQuery.Question,
        _ timeout: TimeAmount?
    ) async throws(ReplicationError) -> ClientQuery.Answer {
        let timeout = timeout ?? configuration.requestTimeout
        return try await perform(RequestSlot<ClientQuery>(self)) { completion in
            ClientQuery(question, timeout: timeout, completion: completion)
        }
    }

    private static var mismatch: ReplicationError {
        ReplicationError(.internal, "an answer to another question")
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
