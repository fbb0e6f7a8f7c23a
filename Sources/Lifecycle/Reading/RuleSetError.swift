// SPDX-License-Identifier: Apache-2.0

/// All that is wrong with a rule set, in the order of the file.
public struct RuleSetError: Error, Hashable, Sendable, CustomStringConvertible {
    /// One thing that is wrong, and what to do about it.
    public struct Problem: Hashable, Sendable, CustomStringConvertible {
        /// Nil where the file as a whole is at fault.
        public let location: SourceLocation?
        public let what: String
        public let advice: String

        public init(at location: SourceLocation?, _ what: String, _ advice: String) {
            self.location = location
            self.what = what
            self.advice = advice
        }

        /// `LINE:COLUMN: WHAT; WHAT TO DO`.
        public var description: String {
            (location.map { "\($0.line):\($0.column): " } ?? "") + "\(what); \(advice)"
        }
    }

    /// Not empty; at most ``RuleSetLimits/problems``.
    public let problems: [Problem]
    /// How many more there are.
    public let omittedCount: Int

    public init(_ problems: [Problem], omittedCount: Int = 0) {
        self.problems = problems
        self.omittedCount = omittedCount
    }

    /// A line a problem.
    public var description: String {
        let lines = problems.map(\.description)
        return (omittedCount == 0 ? lines : lines + ["and \(omittedCount) more"]).joined(separator: "\n")
    }
}

/// How large a rule set may be.
public enum RuleSetLimits {
    public static let tiers = 32
    public static let policies = 64
    public static let rules = 1_000
    public static let prefetches = 100
    /// Conditions of one rule, combinations included.
    public static let conditions = 200
    /// Combinations within combinations; a condition within none has depth 1.
    public static let depth = 8
    /// Texts that one condition names.
    public static let patterns = 200
    /// Characters of a name, of a text that is matched or used, and of a description.
    public static let nameCharacters = 64
    public static let textCharacters = 256
    public static let descriptionCharacters = 1_000
    /// Copies that a policy wants in a tier of nodes.
    public static let copies = 9
    /// Problems that are told at once.
    public static let problems = 100
}
