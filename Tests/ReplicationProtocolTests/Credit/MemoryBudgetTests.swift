// SPDX-License-Identifier: Apache-2.0

import ReplicationProtocol
import Testing

/// Who gets memory, and in which order.
struct MemoryBudgetTests {
    @Test func whoComesFirstIsServedFirst() {
        var budget = MemoryBudget(capacity: 100)
        #expect(budget.reserve(byteCount: 60) == .granted)
        #expect(budget.reserve(byteCount: 50) == .waiting(1))
        // There would be room, but nobody jumps the line.
        #expect(budget.reserve(byteCount: 10) == .waiting(2))
        #expect(budget.reserveAtOnce(byteCount: 10) == false)
        #expect(budget.reserve(byteCount: 90) == .waiting(3))
        #expect(budget.release(byteCount: 60) == [1, 2])
        #expect(budget.lentByteCount == 60)
        #expect(budget.release(byteCount: 50) == [3])
        #expect(budget.lentByteCount == 100)
        #expect(budget.release(byteCount: 100).isEmpty)
        #expect(budget.lentByteCount == 0)
    }

    @Test func whoWithdrawsMakesRoom() {
        var budget = MemoryBudget(capacity: 100)
        #expect(budget.reserve(byteCount: 60) == .granted)
        #expect(budget.reserve(byteCount: 90) == .waiting(1))
        #expect(budget.reserve(byteCount: 40) == .waiting(2))
        let withdrawal = budget.withdraw(1)
        #expect(withdrawal.wasWaiting)
        #expect(withdrawal.granted == [2])
        #expect(!budget.withdraw(2).wasWaiting)
        #expect(budget.waiterCount == 0)
    }

    @Test func whatCanNeverBeIsRefused() {
        var budget = MemoryBudget(capacity: 100, maximumWaiters: 1)
        guard case .refused(let tooLarge) = budget.reserve(byteCount: 101) else {
            Issue.record("more than there is was lent")
            return
        }
        #expect(tooLarge.code == .tooLarge)
        #expect(budget.reserve(byteCount: 100) == .granted)
        #expect(budget.reserve(byteCount: 1) == .waiting(1))
        guard case .refused(let overloaded) = budget.reserve(byteCount: 1) else {
            Issue.record("the line has no end")
            return
        }
        #expect(overloaded.code == .overloaded)
        #expect(overloaded.retry == .later)
    }

    @Test func whatIsSetAsideCannotBeLent() {
        var budget = MemoryBudget(capacity: 100)
        #expect(budget.setAside(byteCount: 101) == false)
        #expect(budget.setAside(byteCount: 40) == true)
        #expect(budget.capacity == 60)
        #expect(budget.reserve(byteCount: 50) == .granted)
        #expect(budget.setAside(byteCount: 20) == false)
        #expect(budget.reserve(byteCount: 20) == .waiting(1))
        #expect(budget.setAside(byteCount: 1) == false)
        #expect(budget.restore(byteCount: 40) == [1])
    }

    @Test func unsolicitedBytesAreBounded() throws {
        var credit = UnsolicitedCredit(limit: 100)
        try credit.received(byteCount: 60)
        try credit.received(byteCount: 40)
        #expect(throws: ReplicationError.self) { try credit.received(byteCount: 1) }
        #expect(credit.takeReturn(alongOthers: true) == nil)
        credit.free(byteCount: 24)
        #expect(credit.takeReturn(alongOthers: false) == nil)
        // What is not given back by CREDIT may not be used yet.
        #expect(throws: ReplicationError.self) { try credit.received(byteCount: 1) }
        credit.free(byteCount: 1)
        #expect(credit.takeReturn(alongOthers: false) == 25)
        try credit.received(byteCount: 25)
        credit.free(byteCount: 1)
        #expect(credit.takeReturn(alongOthers: true) == 1)
    }

    @Test func creditForMoreThanWasUsedIsRefused() throws {
        var credit = ConnectionCredit(limit: 100)
        #expect(throws: ReplicationError.self) { try credit.received(byteCount: 1) }
        credit.spend(byteCount: 60)
        #expect(credit.byteCount == 40)
        try credit.received(byteCount: 60)
        #expect(throws: ReplicationError.self) { try credit.received(byteCount: .max) }
    }
}
