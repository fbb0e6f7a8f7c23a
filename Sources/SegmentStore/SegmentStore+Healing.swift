// SPDX-License-Identifier: Apache-2.0

public import Placement

extension SegmentStore {
    /// The damaged ranges and the records to be fetched for each from other nodes.
    ///
    /// A good copy is stored with `append` or `beginLarge` like any other: it takes the place of the damaged one.
    public func damage() async throws(SegmentStoreError) -> [DamagedRange] {
        try await readers.run { [view] () throws(SegmentStoreError) in try view.damage() }
    }

    /// Clears the marks of damaged ranges that miss nothing any more, durably; returns how many are left.
    ///
    /// `isReconciled`: the caller has compared this store with its peers and fetched what it lacked, so what nobody can
    /// name is not missing either. `elsewhere`: records of which the caller knows that they are safe elsewhere and need
    /// not be here; reads of them fail as before, and the next check of the disk finds them again.
    public func clearHealedDamage(
        isReconciled: Bool = false,
        elsewhere: Set<RecordID> = []
    ) async throws(SegmentStoreError) -> Int {
        let ranges = try await damage()
        return try await perform { (engine) throws(SegmentStoreError) in
            try engine.clearDamage(ranges, isReconciled: isReconciled, elsewhere: elsewhere)
        }
    }
}
