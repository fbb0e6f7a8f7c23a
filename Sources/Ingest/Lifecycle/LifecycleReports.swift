// SPDX-License-Identifier: Apache-2.0

/// What `GET /api/v1/lifecycle/rules` answers: a rule set as it was loaded.
public struct StoredRulesReport: Codable, Sendable {
    public var version: Int64
    /// RFC 3339, UTC.
    public var loadedAt: String
    public var loadedBy: String
    public var reason: String
    /// Of the text, in hexadecimal digits.
    public var sha256: String
    /// As the file was written.
    public var text: String
}

/// What `POST /api/v1/lifecycle/plan` takes.
public struct PlanRequest: Codable, Sendable {
    /// The rules to plan, YAML; nil: those that hold.
    public var text: String?
    /// The day that is looked at, `YYYY-MM-DD`; nil: today, in UTC.
    public var day: String?
    /// List so many of the studies that change or expire instead of adding all up.
    public var list: Int?
    /// List from where an answer before said that it goes on.
    public var after: Int64?

    public init(text: String? = nil, day: String? = nil, list: Int? = nil, after: Int64? = nil) {
        self.text = text
        self.day = day
        self.list = list
        self.after = after
    }
}

/// What `POST /api/v1/lifecycle/rules` takes.
public struct LoadRequest: Codable, Sendable {
    /// The rules, YAML.
    public var text: String
    /// Why; kept for ever with the rules.
    public var reason: String
    /// Percent of the studies that may expire by them without a word; nil: 1.
    public var maximumExpiringPercent: Double?
    /// The number of studies that expire by them, said by somebody who has looked at the plan.
    public var confirmExpire: Int64?

    public init(text: String, reason: String, maximumExpiringPercent: Double? = nil, confirmExpire: Int64? = nil) {
        self.text = text
        self.reason = reason
        self.maximumExpiringPercent = maximumExpiringPercent
        self.confirmExpire = confirmExpire
    }
}

/// What loading rules answers.
public struct LoadReport: Codable, Sendable {
    /// The version that holds now; nil: the rules were refused, and the one before holds.
    public var version: Int64?
    /// Why they were refused.
    public var refusal: String?
    public var plan: PlanReport
}

/// What rules would make of all studies.
public struct PlanReport: Codable, Sendable {
    /// How much some studies are.
    public struct Amount: Codable, Sendable {
        public var studies: Int64
        public var instances: Int64
        /// As they were received.
        public var bytes: Int64
    }

    /// A policy or a rule, and how much is its.
    public struct Share: Codable, Sendable {
        public var name: String
        public var amount: Amount
    }

    /// What gets another policy, or one that wants something else now.
    public struct Change: Codable, Sendable {
        /// Nil where no rules held before.
        public var from: String?
        public var to: String
        public var amount: Amount
    }

    /// The day that was looked at.
    public var day: String
    /// The version that holds, with which it is compared; nil: there is none.
    public var against: Int64?
    public var all: Amount
    public var policies: [Share]
    /// By the rule that decided, the default last.
    public var rules: [Share]
    public var expiring: Amount
    /// By the rules that hold.
    public var expiringBefore: Amount
    public var held: Amount
    /// Would expire if they were not held.
    public var withheldByHold: Amount
    /// Might expire if more were known of them.
    public var withheldByDoubt: Amount
    /// Kept by several policies, as it is not known which is theirs.
    public var uncertain: Amount
    public var changed: Amount
    public var changes: [Change]
}

/// Studies that change or expire by rules.
public struct PlanListReport: Codable, Sendable {
    public struct Study: Codable, Sendable {
        public var studyInstanceUID: String
        /// Nil where no rules held before.
        public var from: String?
        public var to: String
        /// The rule that decides; nil: the default.
        public var rule: String?
        public var expires: Bool
    }

    public var studies: [Study]
    /// For `after`; nil: these were the last.
    public var next: Int64?
}

/// Why the rules decide as they do about a study.
public struct ExplanationReport: Codable, Sendable {
    public struct Rule: Codable, Sendable {
        public var name: String
        public var policy: String
        /// `yes`, `no` or `unknown`.
        public var matches: String
        public var isPassedOver: Bool
        /// A line a condition, indented.
        public var conditions: [String]
    }

    public var studyInstanceUID: String
    public var version: Int64
    public var day: String
    public var policy: String
    /// The rule that decides; nil: the default.
    public var rule: String?
    public var expires: Bool
    public var isHeld: Bool
    /// Policies of which one may be the right one, too.
    public var alsoPossible: [String]
    /// The first later day on which it may be otherwise, if nothing else changes.
    public var nextDue: String?
    public var rules: [Rule]
    /// All of it for people.
    public var text: String
}
