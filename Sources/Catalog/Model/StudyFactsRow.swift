// SPDX-License-Identifier: Apache-2.0

public import Lifecycle

/// What rules decide by of one study.
///
/// Personal data: not for logs.
public struct StudyFactsRow: Sendable, Hashable {
    /// The study's place in the order of the catalog; it keeps it as long as it exists, also through the trash.
    public var study: Int64
    public var facts: StudyFacts

    public init(study: Int64, facts: StudyFacts) {
        self.study = study
        self.facts = facts
    }
}

/// Facts of some studies, in the order of the catalog.
public struct StudyFactsPage: Sendable {
    public var rows: [StudyFactsRow]
    /// Where the next page begins; nil: this was the last.
    public var next: Int64?

    public init(rows: [StudyFactsRow], next: Int64?) {
        self.rows = rows
        self.next = next
    }
}
