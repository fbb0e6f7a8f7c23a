// SPDX-License-Identifier: Apache-2.0

/// What `GET /api/v1/lifecycle/status` answers: whether rules act, and how far rounds are.
public struct LifecycleStatusReport: Codable, Sendable {
    /// How many studies have a policy.
    public struct Policy: Codable, Sendable {
        public var name: String
        public var studies: Int
    }

    /// The version that holds; 0: none was loaded.
    public var version: Int64
    /// Whether it acts.
    public var isActing: Bool
    /// The version that was enabled last; 0: none was.
    public var enabledVersion: Int64
    /// RFC 3339, UTC.
    public var enabledAt: String?
    public var enabledBy: String?
    public var enabledReason: String?
    public var isPaused: Bool
    public var pausedBy: String?
    public var pausedReason: String?
    /// Why nothing expires until a person has looked.
    public var alarm: String?
    /// How long a study is marked before it goes.
    public var expireAfterSeconds: Int64
    /// Studies that may expire in a day, and that did today.
    public var expireLimit: Int64
    public var expiredToday: Int64
    /// By the version by which all studies were judged last; those of an earlier one are not judged again yet.
    public var policies: [Policy]
    public var judgedVersion: Int64
    /// Studies that are to expire; that are due by the calendar; of which something changed.
    public var marked: Int
    public var due: Int
    public var changed: Int
    public var roundStartedAt: String?
    /// Nil while it goes on.
    public var roundFinishedAt: String?
    public var roundStudies: Int64
    /// What the rules want that this version does not do.
    public var notCarriedOut: [String]
}

/// One row of `GET /api/v1/lifecycle/pending`: a study that is to expire.
public struct PendingReport: Codable, Sendable {
    public var studyInstanceUID: String
    public var version: Int64
    public var policy: String
    public var rule: String?
    /// RFC 3339, UTC.
    public var markedAt: String?
    /// When it may go at the earliest; nil while the version does not act.
    public var expiresAt: String?
}

/// What the rules in force make of a study, as it was last judged.
public struct StudyPolicyReport: Codable, Sendable {
    public var version: Int64
    public var policy: String
    /// Nil: the default.
    public var rule: String?
    /// The day since when it is that.
    public var since: String
    /// The day on which it may be another; nil: there is none.
    public var nextDue: String?
    public var markedAt: String?
    public var expiresAt: String?
    /// Names of the holds that it is under.
    public var holds: [String]
    public var tags: [String]
}

/// What `POST /api/v1/lifecycle/acts` takes.
public struct LifecycleActRequest: Codable, Sendable {
    public enum Action: String, Codable, Sendable {
        case enable, pause, resume, run
    }

    public var action: Action
    /// Why; needed but for `run`.
    public var reason: String?
    /// To enable: percent of the studies that may expire a day without a word; nil: 1.
    public var maximumExpiringPercent: Double?
    /// To enable: the number of studies that expire by the rules, said by somebody who has looked at the plan.
    public var confirmExpire: Int64?
    /// To enable: for how long studies are marked before they go; nil: 7 days.
    public var expireAfterSeconds: Int64?

    public init(
        action: Action,
        reason: String? = nil,
        maximumExpiringPercent: Double? = nil,
        confirmExpire: Int64? = nil,
        expireAfterSeconds: Int64? = nil
    ) {
        self.action = action
        self.reason = reason
        self.maximumExpiringPercent = maximumExpiringPercent
        self.confirmExpire = confirmExpire
        self.expireAfterSeconds = expireAfterSeconds
    }
}
