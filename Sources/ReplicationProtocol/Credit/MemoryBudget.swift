// SPDX-License-Identifier: Apache-2.0

/// The bytes a process lends to its connections and streams, first come, first served.
///
/// Pure; shared by all connections of a process, which therefore wrap it in a lock. Who asks for bytes that are not
/// there waits in line. Waiting is safe: who waits holds nothing of the budget (its peer's unsolicited bytes are paid
/// for by the connection), and who has got its bytes needs no more to finish.
public struct MemoryBudget: Sendable {
    /// Names one request for bytes.
    public typealias Ticket = UInt64

    public enum Answer: Hashable, Sendable {
        /// The bytes are lent; give them back with ``release(byteCount:)``.
        case granted
        /// Wait until ``release(byteCount:)`` or ``withdraw(_:)`` returns the ticket.
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
    private var waiters: [Waiter] = []
    private var nextTicket: Ticket = 1

    public init(capacity: Int, maximumWaiters: Int = 65_536) {
        self.capacity = capacity
        self.maximumWaiters = maximumWaiters
    }

    /// The number of requests in line.
    public var waiterCount: Int { waiters.count }

    /// Asks for bytes, ready to wait.
    public mutating func reserve(byteCount: Int) -> Answer {
        guard byteCount <= capacity else {
            return .refused(ReplicationError(.tooLarge, "\(byteCount) bytes of memory; the budget is \(capacity)"))
        }
        if reserveAtOnce(byteCount: byteCount) { return .granted }
        guard waiters.count < maximumWaiters else {
            return .refused(ReplicationError(.overloaded, "\(waiters.count) requests wait for memory already"))
        }
        defer { nextTicket += 1 }
        waiters.append(Waiter(ticket: nextTicket, byteCount: byteCount))
        return .waiting(nextTicket)
    }

    /// Asks for bytes, not ready to wait: the claim is whether they are lent.
    ///
    /// Nobody jumps the line.
    public mutating func reserveAtOnce(byteCount: Int) -> Bool {
        guard waiters.isEmpty, byteCount <= capacity - lentByteCount else { return false }
        lentByteCount += byteCount
        return true
    }

    /// Takes bytes out of the budget for good, when they are free and nobody waits: the claim is whether they were.
    public mutating func setAside(byteCount: Int) -> Bool {
        guard waiters.isEmpty, byteCount <= capacity - lentByteCount else { return false }
        capacity -= byteCount
        return true
    }

    /// Puts bytes back that had been set aside; returns the tickets that are granted now.
    public mutating func restore(byteCount: Int) -> [Ticket] {
        capacity += byteCount
        return serveLine()
    }

    /// Bytes come back; returns the tickets that are granted now.
    public mutating func release(byteCount: Int) -> [Ticket] {
        precondition(byteCount <= lentByteCount, "more bytes come back than were lent")
        lentByteCount -= byteCount
        return serveLine()
    }

    /// Someone no longer waits; returns whether it still did, and the tickets that are granted now.
    public mutating func withdraw(_ ticket: Ticket) -> (wasWaiting: Bool, granted: [Ticket]) {
        guard let index = waiters.firstIndex(where: { $0.ticket == ticket }) else { return (false, []) }
        waiters.remove(at: index)
        return (true, serveLine())
    }

    private mutating func serveLine() -> [Ticket] {
        var served = 0
        while served < waiters.count, waiters[served].byteCount <= capacity - lentByteCount {
            lentByteCount += waiters[served].byteCount
            served += 1
        }
        guard served > 0 else { return [] }
        defer { waiters.removeFirst(served) }
        return waiters[..<served].map(\.ticket)
    }
}
