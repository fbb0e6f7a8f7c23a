// SPDX-License-Identifier: Apache-2.0

/// When a sample is looked at, and when a failure has lasted.
package struct WatchSchedule: Sendable, Hashable {
    /// Ages at which a sample is looked at, in seconds, ascending; never empty.
    package let agesInSeconds: [Int]
    /// How long a failure may last that may pass, before it is an alarm.
    package let patience: Duration

    package static let standardAges = [60, 3_600, 86_400, 604_800]

    package init(agesInSeconds: [Int] = Self.standardAges, patience: Duration = .seconds(600)) {
        self.agesInSeconds = agesInSeconds.isEmpty ? Self.standardAges : Set(agesInSeconds).sorted()
        self.patience = patience
    }

    package var firstAge: Int { agesInSeconds[0] }

    /// The age at which a sample is looked at next that is `age` seconds old and was looked at just now; nil: never again.
    ///
    /// What nobody came to is passed over: one look says all that several at once would.
    package func nextAge(after age: Int) -> Int? { agesInSeconds.first { $0 > age } }

    /// How long what one accepted itself is left to others, whose view is another: a part of the time to the first look, so
    /// that it does not come to much.
    package var deference: Duration { .seconds(min(20, firstAge / 3)) }

    /// From a failure to the next look: `failureCount` before it, the first of which was `failing` ago.
    ///
    /// A few times within the patience, and then less and less often, up to once an hour.
    package func retryDelay(failing: Duration, failureCount: Int) -> Duration {
        let first = min(max(patience / 4, .seconds(1)), .seconds(60))
        guard failing >= patience else { return first }
        return min(first * (1 << min(max(failureCount - 4, 0), 12)), .seconds(3_600))
    }
}

/// What became of a look at a sample.
package enum WatchAnswer: Sendable, Hashable {
    /// It comes back as it was accepted.
    case same
    /// It comes back whole, as something else.
    case different(String)
    /// There is no such instance.
    case missing(String)
    /// It is there and cannot be read.
    case unreadable(String)
    /// Nobody answered, or the answer broke off.
    case unreachable(String)
    /// It cannot be compared here, and no other look would.
    case unjudged(String)

    /// For metrics and the catalog.
    package var name: String {
        switch self {
        case .same: "same"
        case .different: "different"
        case .missing: "missing"
        case .unreadable: "unreadable"
        case .unreachable: "unreachable"
        case .unjudged: "unjudged"
        }
    }

    package var note: String {
        switch self {
        case .same: ""
        case .different(let note), .missing(let note), .unreadable(let note), .unreachable(let note),
            .unjudged(let note):
            note
        }
    }

    /// Whether it is an alarm at once, or only when it has lasted: other bytes than those accepted do not pass.
    var isCertain: Bool {
        if case .different = self { true } else { false }
    }
}

/// What the catalog says of a sample that did not come back.
package struct WatchStanding: Sendable, Hashable {
    /// Somebody deleted it.
    package var isInTrash: Bool
    /// The catalog has other content under its UID.
    package var isOther: Bool

    package init(isInTrash: Bool, isOther: Bool) {
        self.isInTrash = isInTrash
        self.isOther = isOther
    }
}

/// What follows from a look.
package enum WatchVerdict: Sendable, Hashable {
    /// Good; the age of the next look, nil when that was the last.
    case passed(nextAge: Int?)
    /// No longer to be looked at, and no fault.
    case ended(String)
    /// Tried again after `delay`.
    case failed(isAlarm: Bool, delay: Duration)
}

extension WatchSchedule {
    /// Judges a look; `standing` is what the catalog says, asked for after an answer other than ``WatchAnswer/same``.
    package func verdict(on answer: WatchAnswer, to look: WatchLookState, _ standing: WatchStanding?) -> WatchVerdict {
        switch answer {
        case .same: return .passed(nextAge: nextAge(after: max(look.plannedAge, look.age)))
        case .unjudged(let why): return .ended(why)
        case .different, .missing, .unreadable, .unreachable: break
        }
        if let standing {
            if standing.isInTrash { return .ended("it was deleted") }
            // Accepted without the catalog, which then refused it: the journal has said so, as an error of its own.
            if look.isNoted, standing.isOther { return .ended("the catalog has refused it") }
        }
        let hasLasted = look.failureCount > 0 && look.failing >= patience
        return .failed(
            isAlarm: answer.isCertain || hasLasted || look.isAlarm,
            delay: retryDelay(failing: look.failing, failureCount: look.failureCount)
        )
    }
}

/// What is known of a look before it is done.
package struct WatchLookState: Sendable, Hashable {
    /// The age for which it is, and the sample's, in seconds.
    package var plannedAge: Int
    package var age: Int
    /// Failures in a row before it, and since when.
    package var failureCount: Int
    package var failing: Duration
    package var isAlarm: Bool
    /// Accepted while the catalog was away.
    package var isNoted: Bool

    package init(
        plannedAge: Int,
        age: Int,
        failureCount: Int = 0,
        failing: Duration = .zero,
        isAlarm: Bool = false,
        isNoted: Bool = false
    ) {
        self.plannedAge = plannedAge
        self.age = age
        self.failureCount = failureCount
        self.failing = failing
        self.isAlarm = isAlarm
        self.isNoted = isNoted
    }
}
