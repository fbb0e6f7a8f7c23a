// SPDX-License-Identifier: Apache-2.0

/// Something that was begun, and can be given up; it tells its end all the same.
package struct RunningWork: Sendable {
    package let cancel: @Sendable () -> Void

    package init(cancel: @escaping @Sendable () -> Void) { self.cancel = cancel }

    /// Runs `make` in a task and tells what became of it.
    static func task<Value: Sendable>(
        _ make: @escaping @Sendable () async throws -> Value,
        _ completion: @escaping @Sendable (Result<Value, any Error>) -> Void
    ) -> RunningWork {
        let task = Task {
            let result: Result<Value, any Error>
            do { result = .success(try await make()) } catch { result = .failure(error) }
            completion(result)
        }
        return RunningWork { task.cancel() }
    }
}

/// Makes values ahead of their use, a few at once and in bounded memory, and hands them on in order.
enum OrderedPrefetch {
    /// Begins to make a value; the completion is called once, from any thread, also when the work is given up.
    typealias Begin<Item, Value> = (Item, _ completion: @escaping @Sendable (Result<Value, any Error>) -> Void) ->
        RunningWork

    /// Makes a value of each item and gives it to `consume`, in the order of the items.
    ///
    /// At most `window` values are made or wait at once, each within `budget` by its `cost`, and beyond the first only
    /// while all together cost less than `aheadLimit`. Of a wide window half is begun at once, since waking those who work
    /// takes longer than a small piece of work; `consume` is told whether the next value is there already. Only the value that is needed next ever waits for the budget: one
    /// that is merely early takes what is left or is not begun, so requests can't block each other for good. What was
    /// begun has ended when this returns or throws; whoever consumes is woken for the value it waits for, not for others.
    static func forEach<Item: Sendable, Value: Sendable>(
        _ items: [Item],
        window: Int,
        aheadLimit: Int = .max,
        budget: Budget,
        cost: (Item) -> Int,
        begin: Begin<Item, Value>,
        consume: (Value, _ isNextReady: Bool) async throws -> Void
    ) async throws {
        let lowWater = window > 4 ? window / 2 : window
        let values = OrderedValues<Value>()
        var held = 0
        var begunCount = 0
        func beginNext() {
            let index = begunCount
            begunCount += 1
            held += min(cost(items[index]), budget.limit)
            values.begun(index)
            values.running(index, begin(items[index]) { values.ended(index, $0) })
        }
        let result: Result<Void, any Error>
        do {
            try await withTaskCancellationHandler {
                for index in items.indices {
                    if begunCount == index {
                        await budget.acquire(cost(items[index]))
                        beginNext()
                    }
                    if begunCount - index <= lowWater {
                        while begunCount < min(index + window, items.count), held < aheadLimit,
                            budget.tryAcquire(cost(items[begunCount]))
                        { beginNext() }
                    }
                    let value = try await values.value(index)
                    try Task.checkCancellation()
                    try await consume(value, values.hasEnded(index + 1))
                    let amount = min(cost(items[index]), budget.limit)
                    held -= amount
                    budget.release(amount)
                }
            } onCancel: {
                values.cancelAll()
            }
            result = .success(())
        } catch {
            result = .failure(error)
        }
        values.cancelAll()
        await values.allEnded()
        if held > 0 { budget.release(held) }
        try result.get()
    }

    /// The same with a task for each value.
    static func forEach<Item: Sendable, Value: Sendable>(
        _ items: [Item],
        window: Int,
        budget: Budget,
        cost: (Item) -> Int,
        make: @escaping @Sendable (Item) async throws -> Value,
        consume: (Value) async throws -> Void
    ) async throws {
        try await forEach(
            items,
            window: window,
            budget: budget,
            cost: cost,
            begin: { item, completion in RunningWork.task({ try await make(item) }, completion) },
            consume: { value, _ in try await consume(value) }
        )
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
