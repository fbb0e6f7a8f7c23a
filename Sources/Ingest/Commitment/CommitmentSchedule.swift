// SPDX-License-Identifier: Apache-2.0

/// How long things of storage commitment are waited for.
package struct CommitmentSchedule: Sendable, Hashable {
    /// How long copies that are not good yet are waited for, from the request.
    package var patience: Duration
    /// How long an instance is waited for that the catalog does not have: it may have been stored while that was away.
    package var patienceForUnknown: Duration { min(patience, .seconds(30)) }
    /// How old a result may be when it is reported; an older one is found out again.
    package var resultLifetime = Duration.seconds(86_400)
    /// How long a requestor that cannot be reached is tried, from the request.
    package var reportingTime = Duration.seconds(7 * 86_400)
    /// How long a finished request is remembered: the same transaction is then new.
    package var memory = Duration.seconds(30 * 86_400)

    package init(patience: Duration = .seconds(600)) {
        self.patience = patience
    }

    /// How long a failure is waited out that may pass.
    package func patience(for failure: CommitmentCheck.Failure) -> Duration {
        failure == .noSuchInstance ? patienceForUnknown : patience
    }

    /// From one look at the copies to the next, while the request is `age` old.
    package func delayBetweenChecks(age: Duration) -> Duration {
        min(max(age / 4, .seconds(1)), .seconds(30))
    }

    /// From a report that failed to the next; `attemptCount` counts those before it.
    package func delayBetweenReports(attemptCount: Int) -> Duration {
        // 10 s, 20 s, 40 s, … an hour.
        min(.seconds(10) * (1 << min(max(attemptCount, 0), 9)), .seconds(3_600))
    }
}
