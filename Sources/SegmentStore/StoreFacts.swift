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
        /// Damage that was found since the manifest was last told.
        var unrecorded: [QuarantinedRange] = []
        var isUncertain = false
        var highestTerm = Term(rawValue: 0)
        var isClosed = false
    }

    /// The most ranges that are remembered one by one.
    private static let maximumQuarantinedCount = 10_000

    private let values: NIOLockedValueBox<Values>
    private let onDamage = NIOLockedValueBox<(@Sendable () -> Void)?>(nil)

    init(_ values: Values) {
        self.values = NIOLockedValueBox(values)
    }

    var current: Values { values.withLockedValue { $0 } }

    func update(_ body: (inout Values) -> Void) {
        values.withLockedValue { body(&$0) }
    }

    /// Notes that a record was found damaged; returns whether that is news.
    @discardableResult
    func noteDamage(_ id: RecordID, at locator: RecordLocator) -> Bool {
        let range = locator.offset..<(locator.offset + locator.extent.byteCount)
        let damage = QuarantinedRange(segment: locator.segment, range: range, kind: .damaged, record: id)
        let isNews = values.withLockedValue { values in
            guard values.quarantined.count < Self.maximumQuarantinedCount else { return false }
            guard !values.quarantined.contains(where: { $0.covers(locator) }) else { return false }
            values.quarantined.append(damage)
            values.unrecorded.append(damage)
            return true
        }
        if isNews { onDamage.withLockedValue { $0 }?() }
        return isNews
    }

    /// The damage that the manifest is to be told of.
    func takeUnrecorded() -> [QuarantinedRange] {
        values.withLockedValue { values in
            defer { values.unrecorded = [] }
            return values.unrecorded
        }
    }

    /// Whether damage is known where a record is.
    func isQuarantined(_ locator: RecordLocator) -> Bool {
        values.withLockedValue { $0.quarantined.contains { $0.covers(locator) } }
    }

    /// Has `body` called, on whatever thread found it, when new damage is to be recorded.
    func setOnDamage(_ body: (@Sendable () -> Void)?) { onDamage.withLockedValue { $0 = body } }
}

extension QuarantinedRange {
    /// Whether the record at `locator` is in it.
    func covers(_ locator: RecordLocator) -> Bool {
        kind == .damaged && segment == locator.segment && range.contains(locator.offset)
    }
}
