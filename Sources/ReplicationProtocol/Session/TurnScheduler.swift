// SPDX-License-Identifier: Apache-2.0

/// Decides which priority has the next turn, so that each gets its share and none is shut out (stride scheduling).
///
/// Pure. Every priority has a mark that moves forward by what it was given, divided by its weight. Next is the one among
/// those that want something whose mark would be lowest after its turn. A priority that wanted nothing for a while
/// begins where the others are: silence saves nothing up.
public struct TurnScheduler: Hashable, Sendable {
    /// A byte of the heaviest weight moves a mark by this.
    private static let scale: UInt64 = 64

    private var marks: [UInt64] = Array(repeating: 0, count: RequestPriority.allCases.count)
    private var isWaiting: [Bool] = Array(repeating: false, count: RequestPriority.allCases.count)

    public init() {}

    /// Somebody of that priority wants a turn.
    public mutating func wants(_ priority: RequestPriority) {
        guard !isWaiting[priority.index] else { return }
        let lowest = RequestPriority.allCases.filter { isWaiting[$0.index] }.map { marks[$0.index] }.min()
        if let lowest {
            marks[priority.index] = max(marks[priority.index], lowest)
        } else {
            // Nobody else is there to be unfair to.
            marks = Array(repeating: 0, count: marks.count)
        }
        isWaiting[priority.index] = true
    }

    /// Nobody of that priority wants a turn any more.
    public mutating func isDone(_ priority: RequestPriority) {
        isWaiting[priority.index] = false
    }

    /// The priority that is next among those that want a turn; of equals the more urgent one.
    ///
    /// `byteCount` says how much its next turn is expected to take, or (`nil`) that it can have none now.
    public func next(_ byteCount: (RequestPriority) -> Int?) -> RequestPriority? {
        var best: (priority: RequestPriority, mark: UInt64)?
        for priority in [RequestPriority.control, .foreground, .repair, .scrub] where isWaiting[priority.index] {
            guard let byteCount = byteCount(priority) else { continue }
            let mark = marks[priority.index] + Self.step(priority, byteCount)
            if best.map({ mark < $0.mark }) ?? true { best = (priority, mark) }
        }
        return best?.priority
    }

    /// A turn of so many bytes was given; every turn counts as something.
    public mutating func given(_ priority: RequestPriority, byteCount: Int) {
        marks[priority.index] += Self.step(priority, byteCount)
    }

    private static func step(_ priority: RequestPriority, _ byteCount: Int) -> UInt64 {
        UInt64(max(byteCount, 64)) * scale / priority.weight
    }
}

extension RequestPriority {
    fileprivate var index: Int { Int(rawValue) }
}
