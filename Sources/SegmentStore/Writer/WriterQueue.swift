// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import SegmentFormat

typealias PutContinuation = CheckedContinuation<Result<AppendOutcome, SegmentStoreError>, Never>

/// What waits for the writer thread, and what it has in hand.
///
/// Two puts of one key are one write: the second waits for the first and then learns what became of it.
final class WriterQueue: Sendable {
    enum Command: Sendable {
        /// A step of the engine that is no put.
        case step(@Sendable (inout StoreEngine) -> Void)
        /// Ends the writer; without `clean` as a crash would, for tests.
        case close(clean: Bool, CheckedContinuation<Void, Never>)
    }

    enum Work: Sendable {
        case batch([Put])
        case command(Command)
    }

    private struct State {
        var puts = CircularBuffer<Put>()
        var commands = CircularBuffer<Command>()
        var putByteCount: UInt64 = 0
        /// Who waits for each put that is on its way: first the one whose put was taken, then those that joined it.
        var inHand: [Put.Key: [(put: Put, continuation: PutContinuation)]] = [:]
        var isClosing = false
        /// How many puts, or bytes of them, the writer waits for before it goes on; it sleeps until then.
        var wakeCount = 1
        var wakeByteCount = UInt64.max
        /// Puts that are being compared with a stored record and may come back.
        var comparingCount = 0
    }

    private let monitor = Monitor(State())
    private let recordLimit: Int
    private let byteLimit: UInt64

    init(recordLimit: Int, byteLimit: Int) {
        self.recordLimit = recordLimit
        self.byteLimit = UInt64(byteLimit)
    }

    // MARK: For any task

    /// Takes a put, or answers it at once when it can't be taken.
    func submit(_ put: Put, _ continuation: PutContinuation) {
        var refusal: SegmentStoreError?
        monitor.withLockSignalling { state in
            if state.isClosing {
                refusal = SegmentStoreError(.closed, "store is closed")
                return false
            }
            if state.inHand[put.key] != nil {
                state.inHand[put.key]?.append((put, continuation))
                return false
            }
            guard state.inHand.count < recordLimit, state.putByteCount + put.byteCount <= byteLimit else {
                refusal = SegmentStoreError(.overloaded, "too many records wait for the disk", record: put.id)
                return false
            }
            state.inHand[put.key] = [(put, continuation)]
            state.puts.append(put)
            state.putByteCount += put.byteCount
            return state.puts.count >= state.wakeCount || state.putByteCount >= state.wakeByteCount
        }
        if let refusal { continuation.resume(returning: .failure(refusal)) }
    }

    /// Hands a command to the writer; false when the store is closed.
    func submit(_ command: Command) -> Bool {
        var isTaken = false
        monitor.withLockSignalling { state in
            guard !state.isClosing else { return false }
            if case .close = command { state.isClosing = true }
            state.commands.append(command)
            isTaken = true
            return true
        }
        return isTaken
    }

    // MARK: For the writer and the comparing threads

    /// Waits for work: a command, which goes first because puts may never cease to come, or the puts of one batch.
    ///
    /// For those that `delay` expects it waits a little. (Counted from now, not from the oldest put's arrival: what is
    /// left over from a full batch is older than the delay already, and would go alone each time.)
    func next(limits: SegmentStore.Configuration.GroupCommit, delay: inout CommitDelay) -> Work {
        var waitingCount = 0
        let command: Command? = monitor.wait { state -> Command?? in
            if case .step = state.commands.first { return state.commands.popFirst().map { .some($0) } }
            if !state.puts.isEmpty {
                waitingCount = state.puts.count
                return .some(nil)
            }
            // Closing waits for the puts that are out for comparison.
            if case .close = state.commands.first, state.comparingCount > 0 { return nil }
            return state.commands.popFirst().map { .some($0) }
        }
        if let command { return .command(command) }
        if let wait = delay.wait(waiting: waitingCount) {
            let byteCount = UInt64(limits.maximumByteCount)
            var count = waitingCount
            monitor.wait(until: StoreClock.system.monotonicNanoseconds() + wait.nanoseconds) { state in
                count = state.puts.count
                (state.wakeCount, state.wakeByteCount) = (wait.count, byteCount)
                return count >= wait.count || state.putByteCount >= byteCount || state.isClosing
            }
            delay.waited(wait, before: waitingCount, after: count)
        }
        let batch: [Put] = monitor.withLock { state in
            (state.wakeCount, state.wakeByteCount) = (1, .max)
            var batch: [Put] = []
            var byteCount: UInt64 = 0
            while let put = state.puts.first, batch.count < limits.maximumRecordCount {
                byteCount += put.byteCount
                if !batch.isEmpty, byteCount > UInt64(limits.maximumByteCount) { break }
                state.putByteCount -= put.byteCount
                batch.append(state.puts.removeFirst())
            }
            return batch
        }
        return .batch(batch)
    }

    /// How many puts wait.
    var waitingCount: Int { monitor.withLock { $0.puts.count } }

    /// How many steps wait.
    var waitingStepCount: Int { monitor.withLock { $0.commands.count } }

    /// Notes that a put leaves the writer to be compared with the stored record of its id.
    func beginComparing() {
        monitor.withLock { $0.comparingCount += 1 }
    }

    /// Brings a put back whose stored record turned out to be damaged.
    func resubmit(_ put: Put) {
        monitor.withLockSignalling { state in
            state.comparingCount -= 1
            state.puts.prepend(put)
            state.putByteCount += put.byteCount
            return true
        }
    }

    /// Answers a put that was out for comparison.
    func endComparing(_ put: Put, _ result: PutResult) {
        finish(put, result)
        monitor.withLockSignalling { state in
            state.comparingCount -= 1
            return state.isClosing
        }
    }

    /// Answers a put and those of the same key that waited for it.
    func finish(_ put: Put, _ result: PutResult) {
        let waiting = monitor.withLock { $0.inHand.removeValue(forKey: put.key) ?? [] }
        for (place, one) in waiting.enumerated() {
            let outcome = place == 0 ? result.outcome(for: put) : result.outcome(for: one.put, joining: put)
            one.continuation.resume(returning: outcome)
        }
    }
}

extension Duration {
    /// In whole nanoseconds; a setting, so within 64 bits.
    var nanoseconds: Int64 {
        components.seconds * 1_000_000_000 + components.attoseconds / 1_000_000_000
    }
}
