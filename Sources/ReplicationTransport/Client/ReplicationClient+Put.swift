// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import ReplicationProtocol

extension ReplicationClient {
    /// Stores a record whose payload is at hand; returns when it is durable at the peer.
    ///
    /// `.outcomeUnknown` means that all was sent and no answer came: repeating the put is safe.
    public func put(
        _ request: PutRequest,
        payload: ByteBuffer,
        priority: RequestPriority = .foreground,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> PutOutcome {
        try await put(request, pieces: [payload], priority: priority, timeout: timeout)
    }

    /// As ``put(_:payload:priority:timeout:)`` for a payload that lies in several buffers, which are sent one after another.
    public func put(
        _ request: PutRequest,
        pieces: [ByteBuffer],
        priority: RequestPriority = .foreground,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> PutOutcome {
        let byteCount = pieces.reduce(0) { $0 + $1.readableBytes }
        guard request.payloadByteCount == UInt64(byteCount) else {
            throw ReplicationError(
                .invalidRequest,
                "a payload of \(byteCount) bytes, announced were \(request.payloadByteCount)"
            )
        }
        try check(request)
        let timeout = timeout ?? configuration.requestTimeout
        return try await perform(RequestSlot<ClientPut>(self)) { completion in
            ClientPut(
                request,
                payload: pieces,
                sendAheadByteCount: 0,
                priority: priority,
                timeout: timeout,
                completion: completion
            )
        }
    }

    /// Stores a record whose payload is produced piece by piece; returns when it is durable at the peer.
    ///
    /// `timeout` is the time the peer may take for any one step.
    public func put<Chunks: AsyncSequence & Sendable>(
        _ request: PutRequest,
        chunks: Chunks,
        priority: RequestPriority = .foreground,
        timeout: TimeAmount? = nil
    ) async throws(ReplicationError) -> PutOutcome where Chunks.Element == ByteBuffer {
        try check(request)
        let timeout = timeout ?? configuration.requestTimeout
        let sendAhead = configuration.sendAheadByteCount
        let slot = RequestSlot<ClientPut>(self)
        let outcome = eventLoop.makePromise(of: Result<PutOutcome, ReplicationError>.self)
        slot.submit {
            ClientPut(
                request,
                payload: nil,
                sendAheadByteCount: sendAhead,
                priority: priority,
                timeout: timeout
            ) { outcome.succeed($0) }
        }
        // The producer is a child of this task: it is cancelled and awaited when the put has ended.
        let result = await withTaskCancellationHandler {
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await Self.produce(chunks, into: slot) }
                defer { group.cancelAll() }
                do {
                    return try await outcome.futureResult.get()
                } catch {
                    return .failure(ReplicationError(.internal, "the put ended without a result"))
                }
            }
        } onCancel: {
            slot.cancel()
        }
        return try result.get()
    }

    private static func produce<Chunks: AsyncSequence>(
        _ chunks: Chunks,
        into slot: RequestSlot<ClientPut>
    ) async where Chunks.Element == ByteBuffer {
        do {
            for try await chunk in chunks where chunk.readableBytes > 0 {
                guard await offer(chunk, to: slot) else { return }
            }
            _ = await offer(nil, to: slot)
        } catch let error as ReplicationError {
            slot.abandon(error)
        } catch {
            // The error's own text may say anything: only its type is passed on.
            slot.abandon(ReplicationError(.cancelled, "the payload's producer failed (\(type(of: error)))"))
        }
    }

    private static func offer(_ chunk: ByteBuffer?, to slot: RequestSlot<ClientPut>) async -> Bool {
        await withCheckedContinuation { continuation in
            slot.withStream { stream in
                guard let stream else { return continuation.resume(returning: false) }
                stream.offer(chunk, continuation)
            }
        }
    }

    private func check(_ request: PutRequest) throws(ReplicationError) {
        guard request.metadata.readableBytes <= PutRequest.maximumMetadataByteCount else {
            throw ReplicationError(
                .tooLarge,
                "\(request.metadata.readableBytes) bytes of metadata; \(PutRequest.maximumMetadataByteCount) are allowed"
            )
        }
    }
}
