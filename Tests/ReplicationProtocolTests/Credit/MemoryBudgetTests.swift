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

    // MARK: - Priorities

    @Test func foregroundPassesRepairThatWaits() {
        var budget = MemoryBudget(capacity: 100)
        #expect(budget.reserve(byteCount: 80) == .granted)
        #expect(budget.reserve(byteCount: 40, priority: .repair) == .waiting(1))
        // There is room for it, and repair is not waiting for this.
        #expect(budget.reserve(byteCount: 20) == .granted)
        #expect(budget.reserve(byteCount: 40) == .waiting(3))
        #expect(budget.release(byteCount: 20).isEmpty)
        #expect(budget.release(byteCount: 20) == [3])
        #expect(budget.release(byteCount: 60) == [1])
    }

    @Test func repairGetsItsTurnAllTheSame() {
        var budget = MemoryBudget(capacity: 100)
        #expect(budget.reserve(byteCount: 100) == .granted)
        #expect(budget.reserve(byteCount: 50, priority: .repair) == .waiting(1))
        var tickets: Set<MemoryBudget.Ticket> = []
        for _ in 0..<10 {
            guard case .waiting(let ticket) = budget.reserve(byteCount: 50) else { continue }
            tickets.insert(ticket)
        }
        #expect(tickets.count == 10)
        var served: [MemoryBudget.Ticket] = []
        served += budget.release(byteCount: 50)
        while served.count < 11 {
            let last = served.last == 1 ? RequestPriority.repair : .foreground
            let granted = budget.release(byteCount: 50, priority: last)
            #expect(granted.count == 1)
            served += granted
            // One of eleven; after a few of the others, not after all of them.
            if granted == [1] { #expect((2...7).contains(served.count)) }
        }
        #expect(served.contains(1))
    }

    @Test func repairAndScrubLeaveHalfOfItAlone() {
        var budget = MemoryBudget(capacity: 100)
        #expect(budget.reserve(byteCount: 30, priority: .repair) == .granted)
        #expect(budget.reserve(byteCount: 20, priority: .scrub) == .granted)
        #expect(budget.reserveAtOnce(byteCount: 1, priority: .scrub) == false)
        #expect(budget.reserve(byteCount: 1, priority: .repair) == .waiting(1))
        #expect(budget.reserve(byteCount: 50) == .granted)
        #expect(budget.release(byteCount: 50).isEmpty)
        #expect(budget.release(byteCount: 20, priority: .scrub) == [1])
    }

    @Test func aRepairLargerThanHalfOfItGoesAlone() {
        var budget = MemoryBudget(capacity: 100)
        #expect(budget.reserve(byteCount: 90, priority: .repair) == .granted)
        #expect(budget.reserve(byteCount: 1, priority: .repair) == .waiting(1))
        #expect(budget.reserve(byteCount: 10) == .granted)
        #expect(budget.release(byteCount: 90, priority: .repair) == [1])
    }

    @Test func whoWithdrawsLeavesHisLine() {
        var budget = MemoryBudget(capacity: 100)
        #expect(budget.reserve(byteCount: 100) == .granted)
        #expect(budget.reserve(byteCount: 10, priority: .scrub) == .waiting(1))
        #expect(budget.reserve(byteCount: 10, priority: .control) == .waiting(2))
        #expect(budget.withdraw(2).wasWaiting)
        #expect(budget.withdraw(1).wasWaiting)
        #expect(budget.waiterCount == 0)
        #expect(budget.release(byteCount: 100).isEmpty)
        #expect(budget.reserveAtOnce(byteCount: 100) == true)
    }

    /// Whatever comes in whatever order: never more than there is, nothing lost, nobody forgotten.
    @Test func randomRequestsAreAllServed() {
        let seed = Seed.value
        var random = SplitMix(seed: seed)
        for _ in 0..<200 {
            var budget = MemoryBudget(capacity: 100)
            var lent: [(byteCount: Int, priority: RequestPriority)] = []
            var waiting: [MemoryBudget.Ticket: (byteCount: Int, priority: RequestPriority)] = [:]
            func take(_ tickets: [MemoryBudget.Ticket]) {
                for ticket in tickets { if let request = waiting.removeValue(forKey: ticket) { lent.append(request) } }
            }
            for _ in 0..<100 {
                if Bool.random(using: &random) {
                    let byteCount = Int.random(in: 1...100, using: &random)
                    let priority = RequestPriority.allCases.randomElement(using: &random) ?? .repair
                    switch budget.reserve(byteCount: byteCount, priority: priority) {
                    case .granted: lent.append((byteCount, priority))
                    case .waiting(let ticket): waiting[ticket] = (byteCount, priority)
                    case .refused: Issue.record("refused; VARVE_SEED=\(seed)")
                    }
                } else if !lent.isEmpty {
                    let index = Int.random(in: 0..<lent.count, using: &random)
                    let request = lent.remove(at: index)
                    take(budget.release(byteCount: request.byteCount, priority: request.priority))
                }
                #expect(budget.lentByteCount == lent.reduce(0) { $0 + $1.byteCount }, "VARVE_SEED=\(seed)")
                #expect(budget.lentByteCount <= 100, "VARVE_SEED=\(seed)")
            }
            while let request = lent.popLast() {
                take(budget.release(byteCount: request.byteCount, priority: request.priority))
            }
            #expect(waiting.isEmpty, "VARVE_SEED=\(seed)")
            #expect(budget.lentByteCount == 0, "VARVE_SEED=\(seed)")
        }
    }
}
