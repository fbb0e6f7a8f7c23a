// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers

/// A number of units (bytes, places) that work takes before it begins and gives back when it is done; those who find
/// too few left wait their turn.
///
/// Shared by all requests. The lock is held for bookkeeping only.
package final class Budget: Sendable {
    private struct Waiter {
        let amount: Int
        let continuation: CheckedContinuation<Void, Never>
    }

    private struct State {
        var available: Int
        var waiters: [Waiter] = []
    }

    package let limit: Int
    private let state: NIOLockedValueBox<State>

    package init(limit: Int) {
        precondition(limit > 0, "a budget of nothing would let no work begin")
        self.limit = limit
        self.state = NIOLockedValueBox(State(available: limit))
    }

    /// What is left.
    package var available: Int { state.withLockedValue { $0.available } }

    /// Takes `amount`, at most the limit, when that much is left and nobody waits.
    package func tryAcquire(_ amount: Int) -> Bool {
        let amount = clamped(amount)
        return state.withLockedValue { state in
            guard state.waiters.isEmpty, state.available >= amount else { return false }
            state.available -= amount
            return true
        }
    }

    /// Takes `amount`, first come first served.
    package func acquire(_ amount: Int) async {
        if tryAcquire(amount) { return }
        let amount = clamped(amount)
        await withCheckedContinuation { continuation in
            let isGranted = state.withLockedValue { state in
                if state.waiters.isEmpty, state.available >= amount {
                    state.available -= amount
                    return true
                }
                state.waiters.append(Waiter(amount: amount, continuation: continuation))
                return false
            }
            if isGranted { continuation.resume() }
        }
    }

    /// Gives `amount` back, the same as was taken.
    package func release(_ amount: Int) {
        let granted = state.withLockedValue { state in
            state.available += clamped(amount)
            var granted: [CheckedContinuation<Void, Never>] = []
            while let first = state.waiters.first, state.available >= first.amount {
                state.available -= first.amount
                granted.append(first.continuation)
                state.waiters.removeFirst()
            }
            return granted
        }
        for continuation in granted { continuation.resume() }
    }

    private func clamped(_ amount: Int) -> Int { min(max(amount, 0), limit) }
}

/// Units of a budget that are given back by `release`, or when the last reference goes, whatever way its work ends.
final class BudgetLease: Sendable {
    private let budget: Budget
    private let amount: NIOLockedValueBox<Int>

    /// Waits for `amount` units.
    static func acquire(_ amount: Int, of budget: Budget) async -> BudgetLease {
        await budget.acquire(amount)
        return BudgetLease(budget: budget, amount: amount)
    }

    /// `amount` units, when they are left and nobody waits.
    static func tryAcquire(_ amount: Int, of budget: Budget) -> BudgetLease? {
        budget.tryAcquire(amount) ? BudgetLease(budget: budget, amount: amount) : nil
    }

    private init(budget: Budget, amount: Int) {
        self.budget = budget
        self.amount = NIOLockedValueBox(amount)
    }

    deinit { release() }

    /// Gives the units back; once.
    func release() {
        let amount = amount.withLockedValue { amount in
            defer { amount = 0 }
            return amount
        }
        if amount > 0 { budget.release(amount) }
    }
}
