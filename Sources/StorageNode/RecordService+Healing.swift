// SPDX-License-Identifier: Apache-2.0

package import ReplicationProtocol
import SegmentFormat
import SegmentStore

/// What a coordinator needs to know to have damage healed.
extension RecordService {
    package func damage(_ request: DamageRequest) async throws(ReplicationError) -> DamageReport {
        let page: DamagePage
        let next: NodeStore.DamagePlace?
        do throws(SegmentStoreError) {
            let first = NodeStore.DamagePlace(request.first)
            (page, next) = try await store.damage(from: first, limit: request.limit)
        } catch {
            throw ReplicationError(error)
        }
        return DamageReport(
            missing: page.ranges.flatMap(\.missing),
            isComplete: page.ranges.allSatisfy(\.isComplete),
            next: next.map(DamageCursor.init),
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

extension NodeStore.DamagePlace {
    /// `nil`: from the start.
    fileprivate init?(_ cursor: DamageCursor) {
        guard cursor != .start else { return nil }
        let segment = SegmentID(rawValue: cursor.segment)
        self.init(
            disk: DiskID(rawValue: cursor.disk),
            position: DamagePosition(segment: segment, offset: cursor.offset, after: cursor.after)
        )
    }
}

extension DamageCursor {
    /// A disk's first damage is where its segments begin, which are numbered from 1.
    fileprivate init(_ place: NodeStore.DamagePlace) {
        self.init(
            disk: place.disk.rawValue,
            segment: place.position?.segment.rawValue ?? 0,
            offset: place.position?.offset ?? 0,
            after: place.position?.after
        )
    }
}
