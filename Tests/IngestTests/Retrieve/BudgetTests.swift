// SPDX-License-Identifier: Apache-2.0

import Ingest
import Testing

@Suite("Budgets")
struct BudgetTests {
    @Test("Units are taken and given back; more than the limit counts as the limit")
    func units() async {
        let budget = Budget(limit: 10)
        #expect(budget.tryAcquire(4))
        #expect(budget.tryAcquire(6))
        #expect(!budget.tryAcquire(1))
        budget.release(6)
        budget.release(4)
        await budget.acquire(1000)
        #expect(budget.available == 0)
        budget.release(1000)
        #expect(budget.available == 10)
    }

    @Test("Who waits gets its turn, and all comes back")
    func waiting() async {
        let budget = Budget(limit: 3)
        await withTaskGroup(of: Void.self) { group in
            for amount in 1...200 {
                group.addTask {
                    await budget.acquire(amount % 4)
                    await Task.yield()
                    budget.release(amount % 4)
                }
            }
        }
        #expect(budget.available == 3)
    }
}
