// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import NIOCore
import Placement
import SegmentFormat
import SegmentStore
import SimulatedDisk

/// One store, its disk, and what it has answered.
struct Life {
    private var generator: SeededGenerator
    private let clock = NIOLockedValueBox<Int64>(1_700_000_000_000)
    private var machine: Machine
    private var engine: StoreEngine
    private var nextRecord: UInt64 = 0
    private var nextSequence: UInt64 = 0
    private var term: UInt64 = 1
    /// Records whose store was answered, and others that may be there.
    private var stored: [NewRecord] = []
    private var attempted: [NewRecord] = []
    /// Amendments that were answered, by subject, and subjects of which others may be there.
    private var amended: [RecordID: [Amendment]] = [:]
    private var unclear: Set<RecordID> = []
    /// Records whose tombstone was handed in and not answered.
    private var maybeDeleted: Set<RecordID> = []
    /// Records whose drop was answered, and that were not stored again.
    private var dropped: [NewRecord] = []
    private(set) var log: [String] = []

    init(seed: UInt64) throws {
        generator = SeededGenerator(seed: seed)
        machine = Machine()
        machine.configuration.segmentByteCount = 96 << 10
        machine.configuration.allocationByteCount = 32 << 10
        machine.configuration.softLimitFreeBytes = 128 << 10
        machine.configuration.hardLimitFreeBytes = 48 << 10
        machine.disk = SimulatedDisk(seed: seed, sectorByteCount: seed % 2 == 0 ? 512 : 4096)
        machine.wallMilliseconds = { [clock] in clock.withLockedValue { $0 } }
        engine = try machine.open()
    }

    private mutating func chance(_ percent: Int) -> Bool { Int.random(in: 0..<100, using: &generator) < percent }

    mutating func step() throws {
        clock.withLockedValue { $0 += 60_000 }
        // Now and then the disk stops within the next few effects.
        if chance(12) {
            machine.disk.setCrash(at: machine.disk.effectCount + Int.random(in: 0..<12, using: &generator))
        }
        if chance(2) { machine.disk.failNext(.sync, number: 5) }
        if chance(2) { machine.disk.failNext(.write, number: 5) }
        switch Int.random(in: 0..<100, using: &generator) {
        case ..<35: try append()
        case ..<42: try appendLarge()
        case ..<62: try amend()
        case ..<66: try repeatOne()
        case ..<71: try drop()
        case ..<76: try compact()
        case ..<80: try scrub()
        case ..<83: try purge()
        case ..<85: try seal()
        case ..<88: pass(days: Int64.random(in: 1...40, using: &generator))
        case ..<91: try damageAndHeal()
        case ..<93: machine.disk.setCapacity(chance(50) ? 1 << 20 : nil)
        default: try restart()
        }
        if machine.disk.isCrashed || engine.status.reason?.contains("writeFailed") == true { try restart() }
        if chance(10) { try check() }
    }

    // MARK: Steps

    private mutating func append() throws {
        let count = UInt64.random(in: 1...5, using: &generator)
        var records: [NewRecord] = []
        for _ in 0..<count {
            records.append(try Fixture.record(nextRecord, byteCount: Int.random(in: 0...20_000, using: &generator)))
            nextRecord += 1
        }
        log.append("append \(records.count)")
        for (record, result) in zip(records, engine.append(records)) { note(record, result) }
    }

    private mutating func note(_ record: NewRecord, _ result: Result<AppendOutcome, SegmentStoreError>) {
        switch result {
        case .success: stored.append(record)
        case .failure: attempted.append(record)
        }
    }

    private mutating func appendLarge() throws {
        let record = try Fixture.record(nextRecord, byteCount: Int.random(in: 20_000...200_000, using: &generator))
        nextRecord += 1
        log.append("large")
        do {
            _ = try engine.appendLarge(record, pieceByteCount: 30_000)
            stored.append(record)
        } catch {
            attempted.append(record)
        }
    }

    private mutating func amend() throws {
        guard let record = stored.randomElement(using: &generator) else { return }
        if chance(10) { term += 1 }
        nextSequence += 1
        let kinds: [Amendment.Kind] = [.tombstone, .undelete, .hold, .release, Amendment.Kind(rawValue: 20)]
        let kind = kinds[Int.random(in: 0..<kinds.count, using: &generator)]
        let new = record.amendment(
            kind,
            term: term,
            nextSequence,
            reference: UInt64.random(in: 1...2, using: &generator)
        )
        log.append("amend \(kind.rawValue)")
        let isHeld = RecordStanding(amended[record.id] ?? []).isHeld
        do {
            _ = try engine.amend(new, under: term)
            amended[record.id, default: []].append(new.amendment)
            if isHeld, !unclear.contains(record.id) { try require(kind != .tombstone, "a held record was deleted") }
        } catch let error as SegmentStoreError {
            guard error.code != .held else { return }
            unclear.insert(record.id)
            if kind == .tombstone { maybeDeleted.insert(record.id) }
        }
    }

    /// The same record again is no second one.
    private mutating func repeatOne() throws {
        guard let record = (stored + attempted + dropped).randomElement(using: &generator) else { return }
        log.append("repeat")
        let isKnown = stored.contains { $0.id == record.id }
        do {
            _ = try engine.append(record)
            if !isKnown {
                stored.append(record)
                attempted.removeAll { $0.id == record.id }
                dropped.removeAll { $0.id == record.id }
            }
        } catch let error as SegmentStoreError {
            try require([.full, .writeFailed, .deleted].contains(error.code), "repeating failed: \(error)")
            // It may be there now.
            if dropped.contains(where: { $0.id == record.id }) {
                dropped.removeAll { $0.id == record.id }
                attempted.append(record)
            }
        }
    }

    /// Copies of which nothing was said are let go, and may come back.
    private mutating func drop() throws {
        let all = stored.filter { amended[$0.id] == nil && !unclear.contains($0.id) }
        let count = Int.random(in: 1...4, using: &generator)
        let chosen = Array(all.shuffled(using: &generator).prefix(count))
        log.append("drop \(chosen.count)")
        stored.removeAll { record in chosen.contains { $0.id == record.id } }
        do {
            let outcomes = try engine.drop(chosen, under: term)
            try require(outcomes.allSatisfy { $0 == .dropped }, "what is stored was not dropped: \(outcomes)")
            dropped += chosen
        } catch let error as SegmentStoreError {
            try require([.full, .writeFailed].contains(error.code), "dropping failed: \(error)")
            attempted += chosen
        }
    }

    private mutating func compact() throws {
        log.append("compact")
        for segment in engine.view.compactable.prefix(2) {
            if let error = failure(of: { _ = try engine.compact(segment) }) {
                // Nobody could heal a record whose store was never answered, or which is deleted.
                let isLost = error.code == .checksumMismatch && !isSound(error.record)
                try require(isLost || [.full, .writeFailed].contains(error.code), "compaction failed: \(error)")
                return
            }
        }
    }

    /// Whether a record was answered and is not deleted, so that it was healed when its disk was damaged.
    private func isSound(_ id: RecordID?) -> Bool {
        guard let id, stored.contains(where: { $0.id == id }) else { return false }
        return !isDeletedForLong(id) && !unclear.contains(id)
    }

    private mutating func scrub() throws {
        log.append("scrub")
        let damaged = (try? engine.scrubOldest()) ?? []
        // What was never answered and damaged, nobody could heal.
        let known = damaged.filter { id in (stored + attempted).contains { $0.id == id } }
        if !machine.disk.isCrashed { try require(known.isEmpty, "scrub found \(known)") }
    }

    private mutating func purge() throws {
        log.append("purge")
        for segment in engine.status.trash {
            let permit = Amendment.Reference(high: 1, low: 1)
            let error = failure(of: { try engine.purge(segment.segment, permit: permit, under: Term(rawValue: term)) })
            let isInTime = clock.withLockedValue { $0 } < segment.purgeableAtMilliseconds
            if isInTime { try require(error != nil, "purged too early") }
        }
    }

    private mutating func seal() throws {
        log.append("seal")
        _ = failure(of: { try engine.seal() })
    }

    private mutating func pass(days: Int64) {
        log.append("\(days) days")
        clock.withLockedValue { $0 += days * 86_400_000 }
    }

    private mutating func restart() throws {
        switch Int.random(in: 0..<4, using: &generator) {
        case 0 where !machine.disk.isCrashed:
            log.append("close")
            engine.close()
            if machine.disk.isCrashed { machine = machine.killed() }
        case 1:
            log.append("power loss")
            machine = machine.powered(using: &generator)
        case 2:
            log.append("index lost")
            machine = machine.killed().withoutIndex()
        default:
            log.append("kill")
            machine = machine.killed()
        }
        // The next process may die while it starts, too.
        var attempts = 0
        var isCalm = false
        while true {
            engine.abandon()
            if !isCalm, attempts < 3, chance(20) {
                machine.disk.setCrash(at: machine.disk.effectCount + Int.random(in: 0..<8, using: &generator))
            }
            attempts += 1
            do {
                engine = try machine.open()
                return
            } catch let error as SegmentStoreError {
                if !machine.disk.isCrashed {
                    // A full or failing disk keeps a new process from starting; one that is well again does not.
                    try require(!isCalm, "store did not open: \(error)")
                    machine.disk.calmDown()
                    isCalm = true
                    continue
                }
                log.append("died while starting")
                machine = chance(50) ? machine.killed() : machine.powered(using: &generator)
            }
        }
    }

    /// Bits flip; then all that is missing or damaged is fetched again, as from another node.
    private mutating func damageAndHeal() throws {
        machine.disk.calmDown()
        if engine.status.reason != nil { return }
        let paths = machine.disk.paths.filter { $0.hasPrefix("/store/segments/") }
        guard !machine.disk.isCrashed, let path = paths.randomElement(using: &generator) else { return }
        log.append("damage \(path.suffix(8))")
        let places = (0..<3).map { _ in Int.random(in: 4096..<(96 << 10), using: &generator) }
        machine.disk.tamper(path) { bytes in
            for place in places where place < bytes.count { bytes[place] ^= 0x10 }
        }
        if chance(50) {
            machine = chance(50) ? machine.killed() : machine.killed().withoutIndex()
            engine.abandon()
            engine = try machine.open()
        }
        for record in stored {
            guard let error = failure(of: { try engine.expectSame(record) }) else { continue }
            if error.code == .deleted { continue }
            let isHonest =
                [.checksumMismatch, .readFailed].contains(error.code) || !engine.status.quarantinedRanges.isEmpty
                || isDeletedForLong(record.id)
            try require(isHonest, "a damaged record is denied: \(error)")
        }
        for (_, amendments) in amended.sorted(by: { $0.key < $1.key }) {
            for amendment in amendments {
                guard let record = stored.first(where: { $0.id == amendment.subject }) else { continue }
                let order = amendment.order
                let again = record.amendment(
                    amendment.kind,
                    term: order.term.rawValue,
                    order.sequence,
                    reference: amendment.reference.low
                )
                if failure(of: { _ = try engine.amend(again, under: term) })?.code == .held {
                    amended[record.id]?.removeAll { $0 == amendment }
                }
            }
        }
        for record in stored {
            if let error = failure(of: { _ = try engine.append(record) }) {
                try require(error.code == .deleted, "healing failed: \(error)")
                // A deleted record that is damaged is lost with its undelete; nobody asks for it.
                if error.code == .deleted { unclear.insert(record.id) }
            }
        }
        if !machine.disk.isCrashed {
            let damage = try engine.view.damage()
            for id in damage.flatMap(\.missing) {
                // What was never answered may be damaged too; nobody has another copy of it.
                attempted.removeAll { $0.id == id }
                let isKnown = stored.contains { $0.id == id } && !unclear.contains(id)
                try require(!isKnown, "\(id) is missing after healing")
            }
            _ = failure(of: { try engine.clearDamage(damage, isReconciled: true) })
            _ = failure(of: { try engine.markReconciled() })
        }
        forgetDamage()
    }

    /// What can't be healed here (nobody has another copy of what is deleted) is out of the game.
    private mutating func forgetDamage() {
        // A note that rots lets a copy come back, once the index is lost.
        dropped = []
        let lost = Set(engine.status.quarantinedRanges.filter { $0.kind == .damaged }.compactMap(\.record))
        stored.removeAll { lost.contains($0.id) || unclear.contains($0.id) }
        // Of what was never answered nobody has another copy.
        attempted = attempted.filter { record in
            let code = failure(of: { try engine.expectSame(record) })?.code
            return code == nil || code == .notFound
        }
    }

    // MARK: Checks

    private func isDeletedForLong(_ id: RecordID) -> Bool {
        maybeDeleted.contains(id) || amended[id]?.contains { $0.kind == .tombstone } ?? false
    }

    func check() throws {
        guard !machine.disk.isCrashed else { return }
        for record in stored {
            let known = amended[record.id] ?? []
            let found = try engine.amendments(of: record.id).map(\.amendment)
            for amendment in known {
                try require(found.contains(amendment), "amendment \(amendment.order) of \(record.id) is lost")
            }
            if !unclear.contains(record.id) { try require(found.count == known.count, "an amendment appeared") }
            let standing = try engine.standing(of: record.id)
            try require(standing == RecordStanding(found), "standing does not follow from amendments")
            switch failure(of: { try engine.expectSame(record) }) {
            case nil: try require(!standing.isDeleted, "a deleted record is given out")
            case let error?:
                // Deleted for good and undeleted afterwards, it is gone, and says so.
                let mayBeGone = isDeletedForLong(record.id) && error.code == .notFound
                let isRight = error.code == .deleted && standing.isDeleted || mayBeGone
                try require(isRight, "\(record.id), of which \(found) is known: \(error)")
            }
        }
        for record in attempted {
            guard let error = failure(of: { try engine.expectSame(record) }) else { continue }
            try require(error.code == .notFound, "half a record: \(error)")
        }
        for record in dropped {
            let code = failure(of: { try engine.expectSame(record) })?.code
            try require(code == .notFound, "\(record.id) was dropped and is there: \(code?.description ?? "readable")")
        }
        try require(engine.status.highestTerm.rawValue <= term, "a term appeared")
    }

    private func failure(of body: () throws -> Void) -> SegmentStoreError? {
        do {
            try body()
            return nil
        } catch {
            return error as? SegmentStoreError ?? SegmentStoreError(.invalid, "\(error)")
        }
    }

    private func require(_ isTrue: Bool, _ what: String) throws {
        if !isTrue { throw LifeError(what: what) }
    }
}

private struct LifeError: Error, CustomStringConvertible {
    let what: String
    var description: String { what }
}

extension StoreEngine {
    /// Fails unless the record is stored as it was handed in.
    fileprivate func expectSame(_ record: NewRecord) throws {
        guard try read(record.id) == record.payload else { throw LifeError(what: "other bytes") }
        guard try head(record.id)?.metadata == record.metadata else { throw LifeError(what: "other metadata") }
    }
}
