// SPDX-License-Identifier: Apache-2.0

package import ReplicationProtocol
import SegmentFormat
import SegmentStore

/// What a coordinator needs to know to have damage healed.
extension RecordService {
    package func damage(_ request: DamageRequest) async throws(ReplicationError) -> DamageReport {
        let page: DamagePage
        do throws(SegmentStoreError) {
            page = try await store.damage(from: DamagePosition(request.first), limit: request.limit)
        } catch {
            throw ReplicationError(error)
        }
        return DamageReport(
            missing: page.ranges.flatMap(\.missing),
            isComplete: page.ranges.allSatisfy(\.isComplete),
            next: page.next.map(DamageCursor.init),
            unnamed: page.unnamed
        )
    }

    package func healed(_ request: HealedRequest) async throws(ReplicationError) -> UInt64 {
        do throws(SegmentStoreError) {
            let remaining = try await store.clearHealedDamage(
                isReconciled: request.reconciled != nil,
                unnamed: request.reconciled
            )
            return UInt64(remaining)
        } catch {
            throw ReplicationError(error)
        }
    }
}

extension DamagePosition {
    /// `nil`: from the start.
    fileprivate init?(_ cursor: DamageCursor) {
        guard cursor != .start else { return nil }
        self.init(segment: SegmentID(rawValue: cursor.segment), offset: cursor.offset, after: cursor.after)
    }
}

extension DamageCursor {
    fileprivate init(_ position: DamagePosition) {
        self.init(disk: 0, segment: position.segment.rawValue, offset: position.offset, after: position.after)
    }
}
