// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import ReplicationProtocol

/// The memory that servers or clients of a process may use for payloads in transit; share one among them.
///
/// Any event loop may call it. Decisions are made under a lock (``MemoryBudget``), notices are sent after it.
public final class ReplicationMemoryBudget: Sendable {
    private struct State {
        var budget: MemoryBudget
        var notices: [MemoryBudget.Ticket: Notice] = [:]
    }

    private struct Notice {
        let eventLoop: any EventLoop
        let granted: @Sendable () -> Void
    }

    private let state: NIOLockedValueBox<State>

    /// What all clients of a process share unless they are told otherwise: 512 MiB.
    public static let ofAllClients = ReplicationMemoryBudget(byteCount: 512 << 20)

    /// A budget of so many bytes.
    public init(byteCount: Int) {
        self.state = NIOLockedValueBox(State(budget: MemoryBudget(capacity: byteCount)))
    }

    /// All that can be lent: what the budget was made with, less what servers have set aside for their connections.
    public var byteCount: Int { state.withLockedValue { $0.budget.capacity } }

    /// The bytes that are lent at the moment.
    public var lentByteCount: Int { state.withLockedValue { $0.budget.lentByteCount } }

    /// The number of requests that wait for bytes.
    public var waiterCount: Int { state.withLockedValue { $0.budget.waiterCount } }

    /// Asks for bytes.
    ///
    /// When they have to be waited for, `granted` is called on `eventLoop` once they are there.
    func reserve(
        byteCount: Int,
        priority: RequestPriority,
        eventLoop: any EventLoop,
        granted: @escaping @Sendable () -> Void
    ) -> MemoryBudget.Answer {
        state.withLockedValue { state in
            let answer = state.budget.reserve(byteCount: byteCount, priority: priority)
            switch answer {
            case .waiting(let ticket): state.notices[ticket] = Notice(eventLoop: eventLoop, granted: granted)
            case .granted, .refused: break
            }
            return answer
        }
    }

    /// Asks for bytes that are worth nothing later; the claim is whether they are lent.
    func reserveAtOnce(byteCount: Int, priority: RequestPriority) -> Bool {
        state.withLockedValue { $0.budget.reserveAtOnce(byteCount: byteCount, priority: priority) }
    }

    /// Takes bytes out of the budget until ``restore(byteCount:)``; the claim is whether they were free.
    func setAside(byteCount: Int) -> Bool {
        state.withLockedValue { $0.budget.setAside(byteCount: byteCount) }
    }

    /// Puts bytes back that had been set aside.
    func restore(byteCount: Int) {
        notify { budget in budget.restore(byteCount: byteCount) }
    }

    /// Gives bytes back.
    func release(byteCount: Int, priority: RequestPriority) {
        notify { budget in budget.release(byteCount: byteCount, priority: priority) }
    }

    /// Stops waiting.
    ///
    /// When this says `false`, the bytes are granted already and the notice is on its way.
    func withdraw(_ ticket: MemoryBudget.Ticket) -> Bool {
        var wasWaiting = false
        notify { budget in
            let result = budget.withdraw(ticket)
            wasWaiting = result.wasWaiting
            return result.granted
        }
        if wasWaiting { state.withLockedValue { $0.notices[ticket] = nil } }
        return wasWaiting
    }

    private func notify(_ change: (inout MemoryBudget) -> [MemoryBudget.Ticket]) {
        let notices = state.withLockedValue { state in
            change(&state.budget).compactMap { state.notices.removeValue(forKey: $0) }
        }
        for notice in notices { notice.eventLoop.execute(notice.granted) }
    }
}
