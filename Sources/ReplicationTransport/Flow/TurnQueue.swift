// SPDX-License-Identifier: Apache-2.0

import NIOCore
import ReplicationProtocol

/// The streams of one connection that have something to send: within a priority one after the other, the priorities by
/// their weights (``TurnScheduler``).
///
/// Event-loop state of one connection.
struct TurnQueue {
    /// What a turn is expected to take before it is known.
    private static let usualByteCount = 1 << 18

    private var lines: [CircularBuffer<OutboundStream>] = Array(
        repeating: CircularBuffer(),
        count: RequestPriority.allCases.count
    )
    private var scheduler = TurnScheduler()

    var isEmpty: Bool { lines.allSatisfy(\.isEmpty) }

    mutating func append(_ stream: OutboundStream) {
        lines[Int(stream.priority.rawValue)].append(stream)
        scheduler.wants(stream.priority)
    }

    /// The stream whose turn it is; it is no longer in the queue.
    mutating func next() -> OutboundStream? {
        guard let priority = scheduler.next({ _ in Self.usualByteCount }) else { return nil }
        let stream = lines[Int(priority.rawValue)].popFirst()
        if lines[Int(priority.rawValue)].isEmpty { scheduler.isDone(priority) }
        return stream
    }

    /// A stream has sent so much in its turn.
    mutating func given(_ priority: RequestPriority, byteCount: Int) {
        scheduler.given(priority, byteCount: byteCount)
    }

    mutating func removeAll() {
        self = TurnQueue()
    }
}
