// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import Placement
public import ReplicationProtocol

/// A request that was begun by ``ReplicationClient/startGet(_:range:priority:timeout:patience:completion:)`` and the like,
/// for whoever begins many at once: no task waits for it.
public struct PendingRequest: Sendable {
    private let withdraw: @Sendable () -> Void

    init(_ slot: RequestSlot<some ClientStream>) {
        self.withdraw = { slot.cancel() }
    }

    /// Withdraws the request; unless it has ended, it ends with `.cancelled`.
    public func cancel() { withdraw() }
}

/// How long whoever makes a request waits before it looks for another way, without giving the request up.
public struct RequestPatience: Sendable {
    public let duration: TimeAmount
    /// Called on the client's event loop, once, unless the request has ended by then.
    public let isOver: @Sendable () -> Void

    public init(_ duration: TimeAmount, isOver: @escaping @Sendable () -> Void) {
        self.duration = duration
        self.isOver = isOver
    }
}

extension ReplicationClient {
    /// As ``get(_:range:priority:timeout:)``; `completion` is called once, on the client's event loop.
    public func startGet(
        _ id: RecordID,
        range: Range<UInt64>? = nil,
        priority: RequestPriority = .foreground,
        timeout: TimeAmount? = nil,
        patience: RequestPatience? = nil,
        completion: @escaping @Sendable (Result<ByteBuffer, ReplicationError>) -> Void
    ) -> PendingRequest {
        start(
            RequestSlot<ClientGet>(self),
            patience,
            completion,
            makeGet(id, range: range, priority: priority, timeout: timeout)
        )
    }

    /// As ``head(_:priority:timeout:)``; `completion` is called once, on the client's event loop.
    public func startHead(
        _ id: RecordID,
        priority: RequestPriority = .foreground,
        timeout: TimeAmount? = nil,
        patience: RequestPatience? = nil,
        completion: @escaping @Sendable (Result<HeadResult?, ReplicationError>) -> Void
    ) -> PendingRequest {
        let timeout = timeout ?? configuration.requestTimeout
        return start(RequestSlot<ClientHead>(self), patience, completion) { completion in
            ClientHead(id, priority: priority, timeout: timeout, completion: completion)
        }
    }

    /// Where records are in the peer's files, in their order; at most ``PlacesRequest/maximumCount`` of them.
    ///
    /// `completion` is called once, on the client's event loop.
    public func startPlaces(
        _ ids: [RecordID],
        timeout: TimeAmount? = nil,
        completion: @escaping @Sendable (Result<[FilePlace?], ReplicationError>) -> Void
    ) -> PendingRequest {
        let timeout = timeout ?? configuration.requestTimeout
        return start(RequestSlot<ClientQuery<[FilePlace?]>>(self), nil, completion) { completion in
            ClientQuery(
                { .places(PlacesRequest(recordIDs: ids, timeoutMilliseconds: $0)) },
                priority: .foreground,
                timeout: timeout
            ) {
                guard case .placesResult(let places) = $0, places.count == ids.count else { return .unexpected }
                return .answer(places)
            } completion: {
                completion($0)
            }
        }
    }

    private func start<Stream: ClientStream, Value: Sendable>(
        _ slot: RequestSlot<Stream>,
        _ patience: RequestPatience?,
        _ completion: @escaping @Sendable (Result<Value, ReplicationError>) -> Void,
        _ make: @escaping @Sendable (@escaping (Result<Value, ReplicationError>) -> Void) -> Stream
    ) -> PendingRequest {
        let core = core
        slot.submit {
            let clock = core.value.clock
            let alarm = patience.map { clock.set(at: .now() + $0.duration, $0.isOver) }
            return make { result in
                if let alarm { clock.withdraw(alarm) }
                completion(result)
            }
        }
        return PendingRequest(slot)
    }
}
