// SPDX-License-Identifier: Apache-2.0

public import Placement

extension SegmentStore {
    /// The damaged ranges and the records to be fetched for each from other nodes.
    ///
    /// A good copy is stored with `append` or `beginLarge` like any other: it takes the place of the damaged one.
    public func damage() async throws(SegmentStoreError) -> [DamagedRange] {
        try await readers.run { [view] () throws(SegmentStoreError) in try view.damage() }
    }

    /// The damaged ranges from a position on, which name about `limit` records; `nil`: from the first.
    ///
    /// Reads what is around the damage and, when a segment without a footer is damaged, all of the index.
    public func damage(from first: DamagePosition?, limit: Int) async throws(SegmentStoreError) -> DamagePage {
        try await readers.run { [view] () throws(SegmentStoreError) in try view.damage(from: first, limit: limit) }
    }

    /// Clears the marks of damaged ranges that miss nothing any more, durably; returns how many are left.
    ///
    /// When none is left after a comparison with the peers, the store is certain again of what it does not hold.
    ///
    /// `isReconciled`: the caller has compared this store with its peers and fetched what it lacked, so what nobody can
    /// name is not missing either; `unnamed`: it began to do so after the page of damage that had this number, and only
    /// what that page knew of is cleared for it. `elsewhere`: records of which the caller knows that they are safe elsewhere and need
    /// not be here; reads of them fail as before, and the next check of the disk finds them again.
    public func clearHealedDamage(
        isReconciled: Bool = false,
        unnamed: UInt64? = nil,
        elsewhere: Set<RecordID> = []
    ) async throws(SegmentStoreError) -> Int {
        let page = try await damage(from: nil, limit: .max)
        let ranges = page.ranges
        let isReconciled = isReconciled && (unnamed == nil || unnamed == page.unnamed)
        return try await perform { (engine) throws(SegmentStoreError) in
            let remaining = try engine.clearDamage(ranges, isReconciled: isReconciled, elsewhere: elsewhere)
            if isReconciled, remaining == 0, engine.status.isUncertain { try engine.markReconciled() }
            return remaining
        }
    }
}
