// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import Placement
import SegmentFormat

/// What the threads of a store tell its users about it.
final class StoreFacts: Sendable {
    struct Values: Sendable {
        var recordCount = 0
        var usedBytes: UInt64 = 0
        var batchCount: UInt64 = 0
        var writtenRecordCount: UInt64 = 0
        var writeFailure: SegmentStoreError?
        var quarantined: [QuarantinedRange] = []
        var isUncertain = false
        var highestTerm = Term(rawValue: 0)
        var isClosed = false
    }

    /// The most ranges that are remembered one by one.
    private static let maximumQuarantinedCount = 10_000

    private let values: NIOLockedValueBox<Values>

    init(_ values: Values) {
        self.values = NIOLockedValueBox(values)
    }

    var current: Values { values.withLockedValue { $0 } }

    func update(_ body: (inout Values) -> Void) {
        values.withLockedValue { body(&$0) }
    }

    /// Notes that a read found a record damaged; returns whether that is news.
    @discardableResult
    func noteDamage(_ locator: RecordLocator) -> Bool {
        let range = locator.offset..<(locator.offset + locator.extent.byteCount)
        let damage = QuarantinedRange(segment: locator.segment, range: range, kind: .damaged)
        return values.withLockedValue { values in
            guard values.quarantined.count < Self.maximumQuarantinedCount, !values.quarantined.contains(damage) else {
                return false
            }
            values.quarantined.append(damage)
            return true
        }
    }
}
