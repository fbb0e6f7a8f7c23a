// SPDX-License-Identifier: Apache-2.0

/// How far the sub-operations of a C-GET or C-MOVE are (PS3.7 sections 9.1.3.1 and 9.1.4.1).
public struct SuboperationCounts: Sendable, Hashable {
    public var remaining: Int
    public var completed: Int
    public var failed: Int
    public var warning: Int

    public init(remaining: Int, completed: Int = 0, failed: Int = 0, warning: Int = 0) {
        self.remaining = remaining
        self.completed = completed
        self.failed = failed
        self.warning = warning
    }

    /// Counts the answer to one more sub-operation.
    public mutating func add(_ status: DIMSEStatus) {
        self.remaining = max(0, self.remaining - 1)
        if status.isSuccess {
            self.completed += 1
        } else if status.isWarning {
            self.warning += 1
        } else {
            self.failed += 1
        }
    }

    /// The status at the end (PS3.4 tables C.4-2 and C.4-3): all of them failed is a failure, some a warning.
    public var finalStatus: DIMSEStatus {
        guard self.failed > 0 else { return self.warning > 0 ? .suboperationsFailed : .success }
        return self.completed + self.warning == 0 ? .cannotPerformSuboperations : .suboperationsFailed
    }
}
