// SPDX-License-Identifier: Apache-2.0

/// What is to happen, in order of time; what falls on the same microsecond happens in the order it was asked for.
struct EventQueue {
    private struct Entry {
        let time: Int64
        let order: UInt64
        let action: () -> Void

        func isBefore(_ other: Entry) -> Bool { (time, order) < (other.time, other.order) }
    }

    private var heap: [Entry] = []
    private var nextOrder: UInt64 = 0

    mutating func add(at time: Int64, _ action: @escaping () -> Void) {
        heap.append(Entry(time: time, order: nextOrder, action: action))
        nextOrder += 1
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// The next event; `nil` when there is none at or before `limit`.
    mutating func next(upTo limit: Int64) -> (time: Int64, action: () -> Void)? {
        guard let first = heap.first, first.time <= limit else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            var parent = 0
            while true {
                var least = parent
                for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count {
                    if heap[child].isBefore(heap[least]) { least = child }
                }
                guard least != parent else { break }
                heap.swapAt(parent, least)
                parent = least
            }
        }
        return (first.time, first.action)
    }

    mutating func removeAll() { heap.removeAll() }
}
