// SPDX-License-Identifier: Apache-2.0

/// What a rule set made of a study, as it is kept from one round to the next.
///
/// Policy and rule are places in the rule set of that version.
public struct StudyDecision: Sendable, Hashable {
    /// The study's place in the order of the catalog.
    public var study: Int64
    public var policy: Int
    /// Nil: no rule matched.
    public var rule: Int?
    /// Days since 1970; nil: it does not change by the calendar.
    public var nextDue: Int?
    public var expires: Bool
    /// Whether copies in packs are wanted, so that it has to be looked whether they are there.
    public var wantsPacks: Bool

    public init(study: Int64, policy: Int, rule: Int?, nextDue: Int?, expires: Bool, wantsPacks: Bool) {
        self.study = study
        self.policy = policy
        self.rule = rule
        self.nextDue = nextDue
        self.expires = expires
        self.wantsPacks = wantsPacks
    }
}

/// A decision that is kept, with the version that made it and since when.
public struct KeptDecision: Sendable, Hashable {
    public var studyInstanceUID: String
    public var decision: StudyDecision
    public var version: Int64
    /// Days since 1970.
    public var since: Int
    /// Since when the study is to expire, in milliseconds since 1970; nil: it is not.
    public var markedAtMilliseconds: Int64?
    /// When it may at the earliest, in milliseconds since 1970; nil while no version acts.
    public var expiresAtMilliseconds: Int64?
}

/// Studies that rules have to judge again, and the notes that say so.
public struct TouchedStudies: Sendable, Hashable {
    public var studies: [Int64]
    public var notes: [Int64]
}

/// How far rounds are, and whether rules act.
public struct LifecycleActs: Sendable, Hashable {
    /// The version that holds; 0: none was loaded.
    public var version: Int64
    /// The version by which all studies have been judged.
    public var judgedVersion: Int64
    /// The version that acts; it does only while it is the one that holds.
    public var actingVersion: Int64
    public var isPaused: Bool
    public var pausedBy: String
    public var pausedReason: String
    public var enabledBy: String
    public var enabledReason: String
    public var enabledAtMilliseconds: Int64?
    /// How long a study is marked before it goes.
    public var expireWaitMilliseconds: Int64
    /// Studies that may expire in a day.
    public var expireLimit: Int64
    /// Those that did today.
    public var expiredToday: Int64
    /// Why nothing expires until a person has looked; empty: nothing is wrong.
    public var alarm: String
    public var roundStartedAtMilliseconds: Int64?
    /// Nil while it goes on.
    public var roundFinishedAtMilliseconds: Int64?
    /// Studies that it judged.
    public var roundStudyCount: Int64
    /// Whether somebody has asked for a round since the last began.
    public var isRoundRequested: Bool
    /// How long ago the last began; nil: none ever did.
    public var sinceRound: Duration?

    /// Whether the rules that hold act now.
    public var isActing: Bool { !isPaused && version > 0 && actingVersion == version }
}

/// What came of letting a study expire.
public enum ExpiryOutcome: Sendable, Hashable {
    /// So many instances are in the trash.
    case expired(Int)
    case refused(Refusal)

    public enum Refusal: Int, Sendable, CaseIterable {
        case noSuchStudy = 0
        case notActing = -1
        case notMarkedLongEnough = -2
        case receivedLately = -3
        case changedMeanwhile = -4
        case isMoved = -5
        case limitReached = -6
        case held = -7
        case takenBackBefore = -8
    }
}

/// What came of ordering a move by a rule.
public enum RuleMoveOutcome: Int, Sendable {
    case notActing = 0
    case ordered = 1
    case underWay = 2
    /// As many are open as may be.
    case full = 3
}

/// How many studies have a policy.
public struct PolicyCount: Sendable, Hashable {
    /// The place in the rule set of that version.
    public var policy: Int
    public var version: Int64
    public var studyCount: Int
}

/// What storage nodes have of a study that is in packs as well.
public struct CopiesBesidePacks: Hashable, Sendable {
    public let instanceCount: Int
    /// When it last came back from packs; nil when it never did.
    public let cameBackAtMilliseconds: Int64?
}
