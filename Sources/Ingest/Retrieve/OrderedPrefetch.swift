// SPDX-License-Identifier: Apache-2.0

/// Makes values ahead of their use, a few at once and in bounded memory, and hands them on in order.
enum OrderedPrefetch {
    /// Makes a value of each item and gives it to `consume`, in the order of the items.
    ///
    /// At most `window` values are made or wait at once, each within `budget` by its `cost`. Only the value that is
    /// needed next ever waits for the budget: one that is merely early takes what is left or is not begun, so requests
    /// can't block each other for good.
    static func forEach<Item: Sendable, Value: Sendable>(
        _ items: [Item],
        window: Int,
        budget: Budget,
        cost: (Item) -> Int,
        make: @escaping @Sendable (Item) async throws -> Value,
        consume: (Value) async throws -> Void
    ) async throws {
        var held = 0
        // After the group, in which no task is left by then.
        defer { if held > 0 { budget.release(held) } }
        try await withThrowingTaskGroup(of: (Int, Value).self) { group in
            var ready: [Int: Value] = [:]
            var begun = 0
            func begin() {
                let index = begun
                begun += 1
                held += min(cost(items[index]), budget.limit)
                group.addTask { (index, try await make(items[index])) }
            }
            for index in items.indices {
                if begun == index {
                    await budget.acquire(cost(items[index]))
                    begin()
                }
                while begun < min(index + window, items.count), budget.tryAcquire(cost(items[begun])) { begin() }
                while ready[index] == nil, let (made, value) = try await group.next() { ready[made] = value }
                guard let value = ready.removeValue(forKey: index) else { throw CancellationError() }
                try await consume(value)
                let amount = min(cost(items[index]), budget.limit)
                held -= amount
                budget.release(amount)
            }
        }
    }

    /// The same into an array, without a budget: for many small pieces of one value.
    static func map<Item: Sendable, Value: Sendable>(
        _ items: [Item],
        window: Int,
        _ make: @escaping @Sendable (Item) async throws -> Value
    ) async throws -> [Value] {
        guard items.count > 1 else {
            guard let item = items.first else { return [] }
            return [try await make(item)]
        }
        var values: [Value] = []
        values.reserveCapacity(items.count)
        let unlimited = Budget(limit: .max)
        try await forEach(items, window: window, budget: unlimited, cost: { _ in 0 }, make: make) { values.append($0) }
        return values
    }
}
