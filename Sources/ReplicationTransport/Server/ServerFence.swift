// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import ReplicationProtocol

/// The fence of a node: one for all its connections.
///
/// Called by the tasks that serve requests; decisions are made under a lock (``TermFence``), continuations resumed and
/// the service called outside it.
final class ServerFence: Sendable {
    private enum Wait {
        case undecided
        case waiting(CheckedContinuation<ReplicationError?, Never>)
        case decided(ReplicationError?)
    }

    private struct State {
        var fence: TermFence
        var waits: [TermFence.Ticket: Wait] = [:]
    }

    private let service: any ReplicationService
    private let state: NIOLockedValueBox<State>

    init(_ position: FencePosition, service: any ReplicationService) {
        self.service = service
        self.state = NIOLockedValueBox(State(fence: TermFence(position)))
    }

    /// What is durable.
    var position: FencePosition { state.withLockedValue { $0.fence.position } }

    /// Why the demand would be refused now.
    func refusal(of demand: FenceDemand) -> ReplicationError? {
        state.withLockedValue { $0.fence.refusal(of: demand) }
    }

    /// Runs `body` once the demand is admitted; a `nil` demand always is.
    func admit<Value: Sendable>(
        _ demand: FenceDemand?,
        _ body: () async throws(ReplicationError) -> Value
    ) async throws(ReplicationError) -> Value {
        guard let demand else { return try await body() }
        try await enter(demand)
        guard demand.isRemoval else { return try await body() }
        let result = await Self.result(of: body)
        if let position = state.withLockedValue({ $0.fence.left().persist }) { await persist(position) }
        return try result.get()
    }

    private func enter(_ demand: FenceDemand) async throws(ReplicationError) {
        let (admission, position) = state.withLockedValue { state in
            let (admission, effects) = state.fence.enter(demand)
            if case .waiting(let ticket) = admission { state.waits[ticket] = .undecided }
            return (admission, effects.persist)
        }
        if let position { await persist(position) }
        switch admission {
        case .admitted: return
        case .refused(let error): throw error
        case .waiting(let ticket): if let error = await decision(ticket) { throw error }
        }
    }

    private func decision(_ ticket: TermFence.Ticket) async -> ReplicationError? {
        await withCheckedContinuation { continuation in
            let decided = state.withLockedValue { state -> ReplicationError?? in
                if case .decided(let refusal) = state.waits[ticket] {
                    state.waits[ticket] = nil
                    return .some(refusal)
                }
                state.waits[ticket] = .waiting(continuation)
                return nil
            }
            if let decided { continuation.resume(returning: decided) }
        }
    }

    /// Makes the position durable, and those that are wanted meanwhile.
    private func persist(_ position: FencePosition) async {
        var next: FencePosition? = position
        while let position = next {
            var failure: ReplicationError?
            do throws(ReplicationError) {
                try await service.persist(position)
            } catch {
                failure = error
            }
            let error = failure
            let (continuations, following) = state.withLockedValue { state in
                let effects = state.fence.persisted(error)
                return (Self.decide(effects.decided, in: &state), effects.persist)
            }
            for (continuation, refusal) in continuations { continuation.resume(returning: refusal) }
            next = following
        }
    }

    private static func decide(
        _ decisions: [TermFence.Decision],
        in state: inout State
    ) -> [(CheckedContinuation<ReplicationError?, Never>, ReplicationError?)] {
        decisions.compactMap { decision in
            if case .waiting(let continuation) = state.waits[decision.ticket] {
                state.waits[decision.ticket] = nil
                return (continuation, decision.refusal)
            }
            state.waits[decision.ticket] = .decided(decision.refusal)
            return nil
        }
    }

    private static func result<Value: Sendable>(
        of body: () async throws(ReplicationError) -> Value
    ) async -> Result<Value, ReplicationError> {
        do throws(ReplicationError) {
            return .success(try await body())
        } catch {
            return .failure(error)
        }
    }
}
