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
        /// What was damaged and is stored elsewhere now.
        var healed: [QuarantinedRange] = []
        /// Damage that was found since the manifest was last told.
        var unrecorded: [QuarantinedRange] = []
        var isUncertain = false
        /// The number of the first segment that may be made since the store was opened: no two openings have the same.
        var firstSegment: UInt64 = 0
        var highestTerm = Term(rawValue: 0)
        /// Segments in the trash, with the time when they went there in milliseconds since 1970.
        var trash: [SegmentID: Int64] = [:]
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
        return note(QuarantinedRange(segment: locator.segment, range: range, kind: .damaged, record: id))
    }

    /// Notes that a range was found damaged in which nobody knows what there was; returns whether that is news.
    @discardableResult
    func noteDamage(_ segment: SegmentID, _ range: Range<UInt64>) -> Bool {
        note(QuarantinedRange(segment: segment, range: range, kind: .damaged))
    }

    private func note(_ damage: QuarantinedRange) -> Bool {
        let isNews = values.withLockedValue { values in
            guard values.quarantined.count < Self.maximumQuarantinedCount else { return false }
            var damage = damage
            while let known = values.quarantined.first(where: { $0.isDamage(at: damage) }) {
                // What begins in known damage is known, but a range without a record may go on behind it.
                let end = SegmentLayout.aligned(known.range.upperBound, to: SegmentLayout.blockByteCount) ?? .max
                guard damage.record == nil, end < damage.range.upperBound else { return false }
                damage.range = end..<damage.range.upperBound
            }
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

    /// Whether a range is known to be unreadable, or to have been before its records were stored again.
    func isQuarantined(_ segment: SegmentID, _ range: Range<UInt64>) -> Bool {
        values.withLockedValue { values in
            (values.quarantined + values.healed).contains { known in
                let end = SegmentLayout.aligned(known.range.upperBound, to: SegmentLayout.blockByteCount) ?? .max
                return known.segment == segment && known.range.lowerBound <= range.lowerBound && end >= range.upperBound
            }
        }
    }

    /// Has `body` called, on whatever thread found it, when new damage is to be recorded.
    func setOnDamage(_ body: (@Sendable () -> Void)?) { onDamage.withLockedValue { $0 = body } }
}

extension QuarantinedRange {
    /// Whether it is damage in which `other` begins.
    fileprivate func isDamage(at other: QuarantinedRange) -> Bool {
        kind == .damaged && segment == other.segment && range.contains(other.range.lowerBound)
    }

    /// Whether the record at `locator` is in it.
    func covers(_ locator: RecordLocator) -> Bool {
        kind == .damaged && segment == locator.segment && range.contains(locator.offset)
    }
}
