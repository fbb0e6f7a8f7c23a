// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
package import Placement
package import SegmentFormat
package import SegmentStore

extension NodeStore {
    /// How the disks of a node are, taken together.
    package struct Status: Sendable {
        package var recordCount = 0
        package var usedBytes: UInt64 = 0
        /// Of the disks that take records; of all when none does.
        package var freeBytes: UInt64 = 0
        /// Whether any disk takes records.
        package var acceptsWrites = false
        /// What is wrong, with the disk it is wrong with.
        package var reason: String?
        /// The ranges known to be damaged.
        package var damagedCount = 0
        package var isUncertain = false
        package var highestTerm = Term(rawValue: 0)
        package var oldestUnchecked = Duration.zero
        package var trash: [Trashed] = []
    }

    /// A segment in the trash of one disk.
    package struct Trashed: Sendable {
        package let disk: DiskID
        package let segment: TrashedSegment
    }

    package var status: Status {
        var status = Status()
        var reasons = missing.map { "disk \($0.path) is missing: \($0.reason)" }
        var freeOfAll: UInt64 = 0
        for disk in disks {
            let one = disk.store.status
            status.recordCount += one.recordCount
            status.usedBytes += one.usedBytes
            freeOfAll += one.freeBytes
            if one.acceptsWrites { status.freeBytes += one.freeBytes }
            status.acceptsWrites = status.acceptsWrites || one.acceptsWrites
            if let reason = one.reason { reasons.append(disks.count > 1 ? "disk \(disk.path): \(reason)" : reason) }
            status.damagedCount += one.quarantinedRanges.count { $0.kind == .damaged }
            status.isUncertain = status.isUncertain || one.isUncertain
            status.highestTerm = max(status.highestTerm, one.highestTerm)
            status.oldestUnchecked = max(status.oldestUnchecked, one.oldestUnchecked)
            status.trash += one.trash.map { Trashed(disk: disk.id, segment: $0) }
        }
        if !status.acceptsWrites { status.freeBytes = freeOfAll }
        status.isUncertain = status.isUncertain || state.withLockedValue { $0.isLacking }
        status.reason = reasons.isEmpty ? nil : reasons.joined(separator: "; ")
        return status
    }

    /// As of the segment's own store.
    package func purge(
        _ trashed: Trashed,
        permit: Amendment.Reference,
        under authority: Term
    ) async throws(SegmentStoreError) {
        guard let disk = disks.first(where: { $0.id == trashed.disk }) else {
            throw SegmentStoreError(.notFound, "the disk is not there")
        }
        try await disk.store.purge(trashed.segment.segment, permit: permit, under: authority)
    }

    // MARK: Healing

    /// One disk's damage after another's.
    package struct DamagePlace: Hashable, Sendable {
        package var disk: DiskID
        /// `nil`: from the disk's first.
        package var position: DamagePosition?
    }

    package func damage(
        from place: DamagePlace?,
        limit: Int
    ) async throws(SegmentStoreError) -> (page: DamagePage, next: DamagePlace?) {
        let rest = disks.filter { $0.id >= (place?.disk ?? disks[0].id) }
        let unnamed = Self.combined(try await unnamedDamage())
        let disk = rest.first ?? disks[disks.count - 1]
        let isWithin = disk.id == place?.disk
        // A place on a disk that is gone, behind all others, is behind all damage.
        let position = rest.isEmpty ? Self.endOfDamage : (isWithin ? place?.position : nil)
        var page = try await disk.store.damage(from: position, limit: limit)
        page.unnamed = unnamed
        if let next = page.next { return (page, DamagePlace(disk: disk.id, position: next)) }
        return (page, rest.dropFirst().first.map { DamagePlace(disk: $0.id, position: nil) })
    }

    /// As of a single store; what one disk misses and another has soundly is not missed.
    package func clearHealedDamage(isReconciled: Bool, unnamed: UInt64?) async throws(SegmentStoreError) -> Int {
        let numbers = try await unnamedDamage()
        let isReconciled = isReconciled && (unnamed == nil || unnamed == Self.combined(numbers))
        var remaining = 0
        for (disk, number) in zip(disks, numbers) {
            remaining += try await disk.store.clearHealedDamage(
                isReconciled: isReconciled,
                unnamed: number,
                elsewhere: try await missedElsewhere(disk)
            )
        }
        if isReconciled, remaining == 0, state.withLockedValue({ $0.isLacking }) {
            do {
                try await registry?.update { $0.isLacking = false }
                state.withLockedValue { $0.isLacking = false }
            } catch {
                throw SegmentStoreError(.writeFailed, "\(error)")
            }
        }
        return remaining
    }

    /// What a disk misses and another disk has.
    private func missedElsewhere(_ disk: Disk) async throws(SegmentStoreError) -> Set<RecordID> {
        guard disks.count > 1 else { return [] }
        var found: Set<RecordID> = []
        for id in try await disk.store.damage().flatMap(\.missing) {
            for other in disks where other.id != disk.id {
                // Any failure means the same: that copy is not to be relied on.
                if (try? await other.store.verify(id)) != nil { found.insert(id) }
            }
        }
        return found
    }

    private static let endOfDamage = DamagePosition(segment: SegmentID(rawValue: .max), offset: .max)

    /// The number of each disk that stands for its damage without names.
    private func unnamedDamage() async throws(SegmentStoreError) -> [UInt64] {
        // Nothing is read there.
        let end = Self.endOfDamage
        var numbers: [UInt64] = []
        for disk in disks { numbers.append(try await disk.store.damage(from: end, limit: 1).unnamed) }
        return numbers
    }

    private static func combined(_ numbers: [UInt64]) -> UInt64 {
        guard numbers.count > 1 else { return numbers.first ?? 0 }
        return numbers.reduce(0xcbf2_9ce4_8422_2325) { hash, number in (hash ^ number) &* 0x0000_0100_0000_01b3 }
    }
}
