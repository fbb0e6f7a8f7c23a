// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
package import Placement
package import SegmentFormat
package import SegmentStore

extension NodeStore {
    /// Lets copies go on every disk that has them; what became of each when that is durable.
    ///
    /// `order` is the term and number of the coordinator's order: one that comes after a later one is refused with `.invalid`,
    /// so that an order which was delayed on its way cannot take away what was stored after it. Of no records, it only sees to
    /// that; and where a disk failed it throws what that was, because of an earlier order a part may be on that disk, and be found
    /// at its next start. A node that may lack records, or what was said about them, drops none: `.readFailed`.
    package func drop(
        _ drops: [RecordDrop],
        order: Amendment.Order,
        permit: Amendment.Reference,
        mapEpoch: MapEpoch
    ) async throws(SegmentStoreError) -> [DropOutcome] {
        await dropping.begin()
        defer { dropping.end() }
        let isLate = state.withLockedValue { state in
            if let last = state.lastDrop, order <= last { return true }
            state.lastDrop = order
            return false
        }
        if isLate { throw SegmentStoreError(.invalid, "a later order to drop copies has come before this one") }
        if !drops.isEmpty, status.isUncertain || isUneven {
            throw SegmentStoreError(.readFailed, "the node is not sure of what it has, so it drops nothing")
        }
        var outcomes = [DropOutcome](repeating: .absent, count: drops.count)
        for disk in disks {
            let answers = try await disk.store.drop(drops, permit: permit, mapEpoch: mapEpoch, under: order.term)
            for (number, answer) in answers.enumerated() { outcomes[number] = outcomes[number].joined(by: answer) }
        }
        return outcomes
    }
}

extension DropOutcome {
    /// What is to be said of a record of which one disk says this and another that: what is left counts more than what is gone.
    fileprivate func joined(by other: DropOutcome) -> DropOutcome {
        switch (self, other) {
        case (.absent, _): other
        case (_, .absent), (_, .dropped): self
        case (.dropped, _): other
        default: self
        }
    }
}
