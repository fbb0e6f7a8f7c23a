// SPDX-License-Identifier: Apache-2.0

import DICOMNetworking
import DIMSE
import NIOConcurrencyHelpers
import NIOCore

/// A service that keeps what it was given and answers what the test says.
final class TestService: DIMSEService {
    struct Stored: Sendable {
        var request: StoreRequest
        var bytes: ByteBuffer
        var isSpooled: Bool
        var associationID: UInt64
        var callingAETitle: String
    }

    private struct State {
        var stored: [Stored] = []
        var runningByAssociation: [UInt64: Int] = [:]
        var mostRunning = 0
        var spooled: [SpooledDataSet] = []
    }

    private let state = NIOLockedValueBox(State())
    private let decide: @Sendable (AssociationRequestInfo) -> AssociationDecision
    private let answer: @Sendable (StoreRequest) async -> StoreResponse
    private let takeSpooled: (@Sendable (SpooledDataSet) async -> StoreResponse)?
    private let query: @Sendable (QueryRetrieveRequest, RequestExchange) async -> QueryRetrieveResponse
    private let action: @Sendable (ActionRequest, EventReporter) async -> ActionResponse

    /// With `takeSpooled` the test works on data sets that go to a file, while they arrive.
    init(
        decide: @escaping @Sendable (AssociationRequestInfo) -> AssociationDecision = { _ in .accept },
        takeSpooled: (@Sendable (SpooledDataSet) async -> StoreResponse)? = nil,
        query: @escaping @Sendable (QueryRetrieveRequest, RequestExchange) async -> QueryRetrieveResponse = { _, _ in
            QueryRetrieveResponse(.success)
        },
        action: @escaping @Sendable (ActionRequest, EventReporter) async -> ActionResponse = { _, _ in
            ActionResponse(.success)
        },
        answer: @escaping @Sendable (StoreRequest) async -> StoreResponse = { _ in .success }
    ) {
        self.decide = decide
        self.takeSpooled = takeSpooled
        self.query = query
        self.action = action
        self.answer = answer
    }

    var stored: [Stored] { self.state.withLockedValue { $0.stored } }
    /// The most requests of one association that ran at once.
    var mostRunning: Int { self.state.withLockedValue { $0.mostRunning } }

    func negotiate(_ request: AssociationRequestInfo) -> AssociationDecision { self.decide(request) }

    func echo(_ context: AssociationContext) async -> DIMSEStatus { .success }

    func store(
        _ request: StoreRequest,
        dataSet: ReceivedDataSet,
        context: AssociationContext
    ) async -> StoreResponse {
        let id = context.associationID
        self.state.withLockedValue { state in
            state.runningByAssociation[id, default: 0] += 1
            state.mostRunning = max(state.mostRunning, state.runningByAssociation[id] ?? 0)
        }
        defer { self.state.withLockedValue { $0.runningByAssociation[id, default: 1] -= 1 } }
        let bytes: ByteBuffer
        let isSpooled: Bool
        switch dataSet {
        case .memory(let buffer):
            (bytes, isSpooled) = (buffer, false)
        case .file(let spooled):
            if let takeSpooled { return await takeSpooled(spooled) }
            guard let count = try? await spooled.byteCount(), let read = try? await spooled.read(0..<count) else {
                return StoreResponse(.processingFailure)
            }
            (bytes, isSpooled) = (read, true)
        }
        self.state.withLockedValue {
            $0.stored.append(
                Stored(
                    request: request,
                    bytes: bytes,
                    isSpooled: isSpooled,
                    associationID: id,
                    callingAETitle: context.callingAETitle.value
                )
            )
        }
        return await self.answer(request)
    }

    func answer(
        _ request: QueryRetrieveRequest,
        exchange: RequestExchange,
        context: AssociationContext
    ) async -> QueryRetrieveResponse {
        await self.query(request, exchange)
    }

    func act(_ request: ActionRequest, reporter: EventReporter, context: AssociationContext) async -> ActionResponse {
        await self.action(request, reporter)
    }
}

/// Holds tasks up until the test opens it, and tells the test when the first has arrived.
final class Gate: Sendable {
    private struct State {
        var isOpen = false
        var arrivedCount = 0
        var held: [CheckedContinuation<Void, Never>] = []
        var watching: [(count: Int, continuation: CheckedContinuation<Void, Never>)] = []
    }

    private let state = NIOLockedValueBox(State())

    /// Waits until the gate is open.
    func pass() async {
        await withCheckedContinuation { continuation in
            let (isOpen, watchers) = self.state.withLockedValue { state in
                state.arrivedCount += 1
                let count = state.arrivedCount
                let watchers = state.watching.filter { $0.count <= count }
                state.watching.removeAll { $0.count <= count }
                if !state.isOpen {
                    state.held.append(continuation)
                }
                return (state.isOpen, watchers)
            }
            if isOpen {
                continuation.resume()
            }
            for watcher in watchers {
                watcher.continuation.resume()
            }
        }
    }

    /// Waits until as many tasks have come to the gate.
    func arrival(of count: Int = 1) async {
        await withCheckedContinuation { continuation in
            let isReached = self.state.withLockedValue { state in
                if state.arrivedCount >= count { return true }
                state.watching.append((count, continuation))
                return false
            }
            if isReached {
                continuation.resume()
            }
        }
    }

    func open() {
        let held = self.state.withLockedValue { state in
            state.isOpen = true
            defer { state.held = [] }
            return state.held
        }
        for continuation in held {
            continuation.resume()
        }
    }
}
