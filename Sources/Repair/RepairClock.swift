// SPDX-License-Identifier: Apache-2.0

/// Time as those know it who have copies made: the machine's, or that of a simulation.
package struct RepairClock: Sendable {
    /// A reading of a clock that only goes forward.
    package let now: @Sendable () -> Duration
    /// Waits; less when the task is cancelled.
    package let sleep: @Sendable (Duration) async -> Void

    package init(now: @escaping @Sendable () -> Duration, sleep: @escaping @Sendable (Duration) async -> Void) {
        self.now = now
        self.sleep = sleep
    }

    /// The time of this machine.
    package static let continuous: RepairClock = {
        let start = ContinuousClock.now
        return RepairClock(
            now: { ContinuousClock.now - start },
            // Cancellation ends the wait, and whoever waits looks for it.
            sleep: { try? await Task.sleep(for: $0) }
        )
    }()
}
