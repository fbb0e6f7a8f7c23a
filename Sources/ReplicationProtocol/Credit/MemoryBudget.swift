// SPDX-License-Identifier: Apache-2.0

/// The bytes a process lends to its connections and streams: first come, first served within a priority, the priorities
/// by their weights.
///
/// Pure; shared by all connections of a process, which therefore wrap it in a lock. Who asks for bytes that are not
/// there waits in line. Waiting is safe: who waits holds nothing of the budget (its peer's unsolicited bytes are paid
/// for by the connection), and who has got its bytes needs no more to finish. Repair and scrub together are lent at most
/// half of it, so that bytes somebody waits for need not wait until copies have been made.
public struct MemoryBudget: Sendable {
    /// Names one request for bytes.
    public typealias Ticket = UInt64

    public enum Answer: Hashable, Sendable {
        /// The bytes are lent; give them back with ``release(byteCount:priority:)``.
        case granted
        /// Wait until ``release(byteCount:priority:)`` or ``withdraw(_:)`` returns the ticket.
        case waiting(Ticket)
        /// There will never be so many bytes, or too many wait already.
        case refused(ReplicationError)
    }

    private struct Waiter {
        let ticket: Ticket
        let byteCount: Int
    }

    /// All that can be lent.
    public private(set) var capacity: Int
    private let maximumWaiters: Int
    /// What is lent.
    public private(set) var lentByteCount = 0
    /// What of it is lent to repair and scrub.
    private var backgroundByteCount = 0
    /// A line for each priority.
    private var lines: [[Waiter]] = Array(repeating: [], count: RequestPriority.allCases.count)
    private var scheduler = TurnScheduler()
    private var nextTicket: Ticket = 1

    public init(capacity: Int, maximumWaiters: Int = 65_536) {
        self.capacity = capacity
        self.maximumWaiters = maximumWaiters
    }

    /// The number of requests in line.
    public var waiterCount: Int { lines.reduce(0) { $0 + $1.count } }

    /// Asks for bytes, ready to wait.
    public mutating func reserve(byteCount: Int, priority: RequestPriority = .foreground) -> Answer {
        guard byteCount <= capacity else {
            return .refused(ReplicationError(.tooLarge, "\(byteCount) bytes of memory; the budget is \(capacity)"))
        }
        if reserveAtOnce(byteCount: byteCount, priority: priority) { return .granted }
        guard waiterCount < maximumWaiters else {
            return .refused(ReplicationError(.overloaded, "\(waiterCount) requests wait for memory already"))
        }
        let ticket = nextTicket
        nextTicket += 1
        lines[priority].append(Waiter(ticket: ticket, byteCount: byteCount))
        scheduler.wants(priority)
        // It may pass those of lesser priority.
        guard lines[priority].count == 1, byteCount <= capacity - lentByteCount, nextLine() == priority else {
            return .waiting(ticket)
        }
        serve(priority)
        return .granted
    }

    /// Asks for bytes, not ready to wait: the claim is whether they are lent.
    ///
    /// Nobody jumps the line.
    public mutating func reserveAtOnce(byteCount: Int, priority: RequestPriority = .foreground) -> Bool {
        guard waiterCount == 0, byteCount <= capacity - lentByteCount, mayHave(byteCount, priority) else {
            return false
        }
        lend(byteCount, priority)
        return true
    }

    /// Takes bytes out of the budget for good, when they are free and nobody waits: the claim is whether they were.
    public mutating func setAside(byteCount: Int) -> Bool {
        guard waiterCount == 0, byteCount <= capacity - lentByteCount else { return false }
        capacity -= byteCount
        return true
    }

    /// Puts bytes back that had been set aside; returns the tickets that are granted now.
    public mutating func restore(byteCount: Int) -> [Ticket] {
        capacity += byteCount
        return serveLines()
    }

    /// Bytes come back; returns the tickets that are granted now.
    public mutating func release(byteCount: Int, priority: RequestPriority = .foreground) -> [Ticket] {
        precondition(byteCount <= lentByteCount, "more bytes come back than were lent")
        lentByteCount -= byteCount
        if priority.isBackground { backgroundByteCount -= byteCount }
        return serveLines()
    }

    /// Someone no longer waits; returns whether it still did, and the tickets that are granted now.
    public mutating func withdraw(_ ticket: Ticket) -> (wasWaiting: Bool, granted: [Ticket]) {
        for priority in RequestPriority.allCases {
            guard let index = lines[priority].firstIndex(where: { $0.ticket == ticket }) else { continue }
            lines[priority].remove(at: index)
            if lines[priority].isEmpty { scheduler.isDone(priority) }
            return (true, serveLines())
        }
        return (false, [])
    }

    private mutating func serveLines() -> [Ticket] {
        var granted: [Ticket] = []
        while true {
            // Whose turn it is keeps it until there are enough bytes: large requests starve no more than small ones.
            guard let next = nextLine(), let waiter = lines[next].first, waiter.byteCount <= capacity - lentByteCount
            else { return granted }
            serve(next)
            granted.append(waiter.ticket)
        }
    }

    private func nextLine() -> RequestPriority? {
        scheduler.next { priority in
            guard let byteCount = lines[priority].first?.byteCount, mayHave(byteCount, priority) else { return nil }
            return byteCount
        }
    }

    /// Lends the first in line what it waits for.
    private mutating func serve(_ priority: RequestPriority) {
        let waiter = lines[priority].removeFirst()
        if lines[priority].isEmpty { scheduler.isDone(priority) }
        scheduler.given(priority, byteCount: waiter.byteCount)
        lend(waiter.byteCount, priority)
    }

    /// Repair and scrub have to leave half of the budget alone, unless one request is larger than that.
    private func mayHave(_ byteCount: Int, _ priority: RequestPriority) -> Bool {
        !priority.isBackground || backgroundByteCount == 0 || backgroundByteCount + byteCount <= capacity / 2
    }

    private mutating func lend(_ byteCount: Int, _ priority: RequestPriority) {
        lentByteCount += byteCount
        if priority.isBackground { backgroundByteCount += byteCount }
    }
}

extension Array {
    /// The element of a priority, in an array that has one for each.
    fileprivate subscript(priority: RequestPriority) -> Element {
        get { self[Int(priority.rawValue)] }
        set { self[Int(priority.rawValue)] = newValue }
    }
}
