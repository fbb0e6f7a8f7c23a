// SPDX-License-Identifier: Apache-2.0

/// What a check found, bounded however many faults there are.
///
/// Findings hold no value of the data set, only lengths and counts, so they may be logged.
public struct CheckReport: Hashable, Sendable {
    public struct Finding: Hashable, Sendable {
        public var rule: CheckRule
        /// What is wrong, in a sentence without data of the data set.
        public var message: String
        /// Where: `(0040,0275)[2].(0040,0007)`; nil for the whole file or data set.
        public var tagPath: String?
        /// Byte offset of the element from the start of the data set (of the inflated one, if deflated).
        public var offset: Int?

        public var severity: CheckRule.Severity { self.rule.severity }
    }

    /// In the order of the bytes, as far as the limits allow.
    public private(set) var findings: [Finding] = []
    /// All of them, those beyond the limits included.
    public private(set) var errorCount = 0
    public private(set) var warningCount = 0

    /// Findings that were counted but not kept.
    public var omittedCount: Int { self.errorCount + self.warningCount - self.findings.count }
    public var hasErrors: Bool { self.errorCount > 0 }

    private var countByRule: [CheckRule: Int] = [:]
    private let maximumCount: Int
    private let maximumCountPerRule: Int

    init(options: DataSetCheck.Options) {
        self.maximumCount = options.maximumFindingCount
        self.maximumCountPerRule = options.maximumFindingsPerRule
    }

    /// How often `rule` was broken.
    public func count(of rule: CheckRule) -> Int { self.countByRule[rule] ?? 0 }

    mutating func add(_ rule: CheckRule, _ tagPath: @autoclosure () -> String?, _ message: String, offset: Int? = nil) {
        if rule.severity == .error { self.errorCount += 1 } else { self.warningCount += 1 }
        let count = self.countByRule[rule, default: 0]
        self.countByRule[rule] = count + 1
        guard count < self.maximumCountPerRule, self.findings.count < self.maximumCount else { return }
        self.findings.append(Finding(rule: rule, message: message, tagPath: tagPath(), offset: offset))
    }
}

extension CheckReport.Finding: CustomStringConvertible {
    /// `error (0008,0018) the UID has 70 bytes; 64 are allowed [uid, PS3.5 9.1]`.
    public var description: String {
        let place = self.tagPath.map { " \($0)" } ?? ""
        return "\(self.severity.rawValue)\(place) \(self.message) [\(self.rule.name), \(self.rule.section)]"
    }
}
