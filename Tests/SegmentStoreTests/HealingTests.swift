// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import SegmentFormat
import SegmentStore
import SimulatedDisk
import Testing

@Suite struct HealingTests {
    private static let first = "/store/segments/0000000000000001.seg"

    /// Four records in four batches of 8 KiB; the byte is in the payload of the second.
    private static func stored(_ machine: Machine) throws -> (StoreEngine, [NewRecord]) {
        var engine = try machine.open()
        let records = try (UInt64(0)..<4).map { try Fixture.record($0, byteCount: 7000) }
        for record in records { #expect(try engine.append(record) == .stored) }
        return (engine, records)
    }

    private static let secondPayload = 4096 + 8192 + 1000

    @Test(arguments: [true, false])
    func whatAReadFindsDamagedIsRememberedAndHealed(isSealed: Bool) throws {
        var machine = Machine()
        var (engine, records) = try Self.stored(machine)
        if isSealed { try engine.seal() }
        machine.disk.tamper(Self.first) { $0[Self.secondPayload] ^= 1 }
        #expect(refusal { _ = try engine.read(records[1].id) } == .checksumMismatch)
        try engine.recordDamage()
        // The next start knows it without having read it.
        machine = machine.killed()
        engine = try machine.open()
        // (A scan of the segment that was in use finds it once more.)
        #expect(engine.status.quarantinedRanges.contains { $0.record == records[1].id })
        let damage = try engine.view.damage()
        #expect(damage.contains { $0.missing == [records[1].id] && $0.isComplete })
        #expect(try engine.clearDamage(damage) == damage.count)
        #expect(try engine.append(records[1]) == .stored)
        try engine.expectStored(records[1])
        #expect(try engine.clearDamage(engine.view.damage()) == 0)
        #expect(engine.status.quarantinedRanges.isEmpty)
        machine = machine.killed().withoutIndex()
        engine = try machine.open()
        for record in records { try engine.expectStored(record) }
        if isSealed { #expect(engine.status.quarantinedRanges.isEmpty) }
    }

    @Test func aSealedSegmentsRangeNamesItsRecords() throws {
        let machine = Machine()
        var (engine, records) = try Self.stored(machine)
        engine.close()
        // The footer is read when the index is lost; then the segment's file loses the middle.
        machine.disk.tamper(Self.first) { bytes in
            for place in 12_288..<28_672 { bytes[place] = 0x55 }
        }
        engine = try machine.open()
        #expect(refusal { _ = try engine.read(records[1].id) } == .checksumMismatch)
        #expect(try engine.view.damage().map(\.missing) == [[records[1].id]])
        #expect(refusal { _ = try engine.read(records[2].id) } == .checksumMismatch)
        for record in records[1...2] { #expect(try engine.append(record) == .stored) }
        #expect(try engine.clearDamage(engine.view.damage()) == 0)
    }

    @Test func whatIsSafeElsewhereNeedNotBeHere() throws {
        let machine = Machine()
        var (engine, records) = try Self.stored(machine)
        machine.disk.tamper(Self.first) { $0[Self.secondPayload] ^= 1 }
        #expect(refusal { _ = try engine.read(records[1].id) } == .checksumMismatch)
        let damage = try engine.view.damage()
        #expect(try engine.clearDamage(damage, elsewhere: [records[0].id]) == 1)
        #expect(try engine.clearDamage(damage, elsewhere: [records[1].id]) == 0)
        #expect(refusal { _ = try engine.read(records[1].id) } == .checksumMismatch)
    }

    @Test func whatNobodyCanNameIsClearedOnlyByAComparison() throws {
        var machine = Machine()
        var (engine, records) = try Self.stored(machine)
        machine.disk.tamper(Self.first) { $0[4096 + 8192 + 20] ^= 1 }
        machine = machine.killed().withoutIndex()
        engine = try machine.open()
        let damage = try engine.view.damage()
        #expect(damage.map(\.isComplete) == [false] && damage.map(\.missing) == [[]])
        #expect(try engine.clearDamage(damage) == 1)
        #expect(try engine.append(records[1]) == .stored)
        #expect(try engine.clearDamage(engine.view.damage()) == 1)
        #expect(try engine.clearDamage(engine.view.damage(), isReconciled: true) == 0)
        machine = machine.killed()
        engine = try machine.open()
        #expect(engine.status.quarantinedRanges.isEmpty)
        for record in records { try engine.expectStored(record) }
    }

    /// A header rotted in a segment without a footer: the index knows what was there.
    @Test func theIndexNamesWhatNoFooterDoes() throws {
        var machine = Machine()
        var (engine, records) = try Self.stored(machine)
        machine = machine.killed()
        machine.disk.tamper(Self.first) { $0[4096 + 8192 + 20] ^= 1 }
        engine = try machine.open()
        engine.close()
        engine = try machine.open()
        #expect(try engine.scrubOldest().isEmpty)
        let damage = try engine.view.damage()
        #expect(damage.map(\.missing) == [[records[1].id]] && damage.map(\.isComplete) == [false])
        #expect(try engine.append(records[1]) == .stored)
        #expect(try engine.view.damage().map(\.missing) == [[]])
    }

    /// The page cache has the right bytes still, so that no reader notices.
    @Test(arguments: [true, false])
    func whatRotsUnderThePageCacheIsHealed(isSealed: Bool) throws {
        let machine = Machine()
        var (engine, records) = try Self.stored(machine)
        if isSealed { try engine.seal() }
        machine.disk.rot(Self.first) { $0[Self.secondPayload] ^= 1 }
        #expect(try engine.read(records[1].id) == records[1].payload)
        _ = try engine.scrubOldest()
        #expect(try engine.view.damage().map(\.missing) == [[records[1].id]])
        #expect(try engine.clearDamage(engine.view.damage()) == 1)
        #expect(try engine.append(records[1]) == .stored)
        #expect(try engine.clearDamage(engine.view.damage(), isReconciled: true) == 0)
        #expect(try engine.scrubOldest().isEmpty && engine.status.quarantinedRanges.isEmpty)
    }

    /// Storage is committed for what verifying finds: the page cache is no copy.
    @Test func verifyingReadsTheDiskAndNotThePageCache() throws {
        let machine = Machine()
        let (engine, records) = try Self.stored(machine)
        try engine.verify(records[1].id)
        machine.disk.rot(Self.first) { $0[Self.secondPayload] ^= 1 }
        #expect(try engine.read(records[1].id) == records[1].payload)
        #expect(refusal { try engine.verify(records[1].id) } == .checksumMismatch)
        #expect(try engine.view.damage().map(\.missing) == [[records[1].id]])
    }

    @Test(arguments: 1...5)
    func damageIsListedPageByPage(limit: Int) throws {
        let machine = Machine()
        var (engine, records) = try Self.stored(machine)
        engine.close()
        // One range with two records, and one with one.
        machine.disk.tamper(Self.first) { bytes in
            for place in 12_288..<28_672 { bytes[place] = 0x55 }
            bytes[28_672 + 1000] ^= 1
        }
        engine = try machine.open()
        for record in records[1...3] { #expect(refusal { _ = try engine.read(record.id) } == .checksumMismatch) }
        var (missing, pageCount) = ([RecordID](), 0)
        var next: DamagePosition?
        repeat {
            let page = try engine.view.damage(from: next, limit: limit)
            #expect(page.ranges.flatMap(\.missing).count <= limit)
            missing += page.ranges.flatMap(\.missing)
            next = page.next
            pageCount += 1
        } while next != nil && pageCount < 100
        #expect(missing.sorted() == records[1...3].map(\.id).sorted())
        #expect(pageCount == (3 + limit - 1) / limit)
    }

    @Test func damageIsAnotherWhenMoreIsFoundOrTheStoreIsOpenedAgain() throws {
        var machine = Machine()
        var (engine, _) = try Self.stored(machine)
        machine.disk.tamper(Self.first) { $0[4096 + 8192 + 20] ^= 1 }
        machine = machine.killed().withoutIndex()
        engine = try machine.open()
        let first = try engine.view.damage(from: nil, limit: 10).unnamed
        #expect(try engine.view.damage(from: nil, limit: 10).unnamed == first)
        machine.disk.tamper(Self.first) { $0[4096 + 3 * 8192 + 20] ^= 1 }
        _ = try engine.scrubOldest()
        let second = try engine.view.damage(from: nil, limit: 10).unnamed
        #expect(second != first)
        engine.close()
        engine = try machine.open()
        #expect(try engine.view.damage(from: nil, limit: 10).unnamed != second)
    }

    /// A read that failed once leaves nothing behind that could hide what rots there later.
    @Test(arguments: [true, false])
    func damageAfterAFalseAlarmIsDamage(isOpenedAgain: Bool) throws {
        var machine = Machine()
        var (engine, records) = try Self.stored(machine)
        machine.disk.tamper(Self.first) { $0[Self.secondPayload] ^= 1 }
        #expect(try engine.scrubOldest() == [])
        machine.disk.tamper(Self.first) { $0[Self.secondPayload] ^= 1 }
        let alarm = try engine.view.damage()
        #expect(alarm.count == 1 && alarm[0].missing.isEmpty && alarm[0].holdsSound)
        #expect(try engine.clearDamage(alarm, isReconciled: true) == 0)
        if isOpenedAgain {
            engine.close()
            machine = machine.killed()
            engine = try machine.open()
        }
        machine.disk.tamper(Self.first) { $0[Self.secondPayload] ^= 1 }
        _ = try engine.scrubOldest()
        #expect(try engine.view.damage().flatMap(\.missing) == [records[1].id])
    }

    /// A deletion that no other node has heard of.
    @Test func aTombstoneThatAStartCouldNotReadComesBack() throws {
        let machine = Machine()
        var engine = try machine.open()
        let record = try Fixture.record(1, byteCount: 100)
        #expect(try engine.append(record) == .stored)
        #expect(try engine.amend(record.amendment(.tombstone, 1)) == .stored)
        // What comes behind shows that the tombstone is no batch that was never finished.
        #expect(try engine.append(try Fixture.record(2, byteCount: 100)) == .stored)
        engine.abandon()
        let next = machine.killed().withoutIndex()
        next.disk.tamper(Self.first) { $0[8192 + 8] ^= 1 }
        engine = try next.open()
        #expect(try engine.head(record.id) != nil)
        next.disk.tamper(Self.first) { $0[8192 + 8] ^= 1 }
        let damage = try engine.view.damage()
        #expect(damage.count == 1 && !damage[0].isComplete)
        #expect(try engine.clearDamage(damage, isReconciled: true) == 0)
        #expect(try engine.standing(of: record.id).isDeleted)
        #expect(engine.status.recordCount == 1)
        let info = try engine.head(try Fixture.record(2).id)
        #expect(info != nil)
    }

    @Test func aFalseAlarmIsTakenBack() throws {
        let machine = Machine()
        var (engine, records) = try Self.stored(machine)
        machine.disk.failNext(.read, number: 5)
        #expect(refusal { _ = try engine.read(records[1].id) } == .readFailed)
        #expect(engine.status.quarantinedRanges.count == 1)
        #expect(try engine.clearDamage(engine.view.damage()) == 0)
    }

    @Test func deletedRecordsNeedNoHealingAndHeldOnesDo() throws {
        let machine = Machine()
        var (engine, records) = try Self.stored(machine)
        machine.disk.tamper(Self.first) { $0[Self.secondPayload] ^= 1 }
        #expect(refusal { _ = try engine.read(records[1].id) } == .checksumMismatch)
        #expect(try engine.amend(records[1].amendment(.tombstone, 1)) == .stored)
        #expect(try engine.amend(records[1].amendment(.hold, 2)) == .stored)
        #expect(try engine.clearDamage(engine.view.damage()) == 1)
        #expect(try engine.amend(records[1].amendment(.release, 3)) == .stored)
        #expect(try engine.clearDamage(engine.view.damage()) == 0)
    }

    /// A record whose checksums are right and whose payload is not: damaged before it was ever written.
    @Test func aWrongDigestUnderRightChecksumsIsReplacedToo() throws {
        let machine = Machine()
        var engine = try machine.open()
        let record = try Fixture.record(1)
        var wrong = record
        wrong.payload.setInteger(UInt8(1), at: 17)
        wrong.payload.setInteger(UInt8(2), at: 18)
        wrong.digestIsVerified = true
        #expect(try engine.append(wrong) == .stored)
        #expect(refusal { try engine.verify(record.id) } == .checksumMismatch)
        #expect(try engine.append(record) == .stored)
        try engine.expectStored(record)
    }

    /// A segment that was scanned once is scanned again when the index is lost; what it then lacks must not count as
    /// never stored.
    @Test(arguments: [true, false])
    func damageThatCameAfterTheFirstScanIsNoted(isSecondBatch: Bool) throws {
        var machine = Machine()
        var (engine, records) = try Self.stored(machine)
        machine = machine.killed()
        engine = try machine.open()
        engine.close()
        machine.disk.tamper(Self.first) { $0[isSecondBatch ? Self.secondPayload : 4096 + 3 * 8192 + 1000] ^= 1 }
        machine = machine.withoutIndex()
        for _ in 0..<2 {
            engine = try machine.open()
            #expect(engine.status.isUncertain && engine.status.quarantinedRanges.map(\.kind) == [.damaged])
            #expect(try engine.head(records[isSecondBatch ? 1 : 3].id) == nil)
            engine.close()
            machine = machine.withoutIndex()
        }
    }

    @Test func aCrashAtAnyEffectForgetsNoDamage() throws {
        var generator = SeededGenerator.announced("aCrashAtAnyEffectForgetsNoDamage")
        let before = Machine()
        let (_, records) = try Self.stored(before)
        before.disk.tamper(Self.first) { $0[Self.secondPayload] ^= 1 }
        var effect = 0
        var isOver = false
        while !isOver {
            let machine = before.killed(crashAt: effect)
            var isHealed = false
            if var engine = try? machine.open() {
                _ = refusal { _ = try engine.read(records[1].id) }
                _ = refusal { try engine.recordDamage() }
                isHealed = (try? engine.append(records[1])) != nil
                _ = refusal { try engine.clearDamage(engine.view.damage()) }
                if !machine.disk.isCrashed { engine.close() }
            }
            isOver = !machine.disk.isCrashed
            for next in [machine.killed(), machine.powered(using: &generator)] {
                let engine = try next.open()
                for record in records where isHealed || record.id != records[1].id { try engine.expectStored(record) }
                let isSound = refusal { try engine.verify(records[1].id) } == nil
                #expect(isSound || !engine.status.quarantinedRanges.isEmpty, "stopped at effect \(effect)")
            }
            effect += 1
        }
        #expect(effect > 8)
    }

    @Test func throughTheThreads() async throws {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        let store = try Fixture.open(directory, disk: disk)
        let record = try Fixture.record(1, byteCount: 7000)
        #expect(try await store.append(record) == .stored)
        disk.tamper("\(directory.path)/segments/0000000000000001.seg") { $0[4096 + 1000] ^= 1 }
        #expect(await code { _ = try await store.read(record.id) } == .checksumMismatch)
        #expect(try await store.damage().map(\.missing) == [[record.id]])
        #expect(try await store.clearHealedDamage() == 1)
        await store.close()
        let again = try Fixture.open(directory, disk: disk)
        #expect(again.status.quarantinedRanges.map(\.record) == [record.id])
        #expect(try await again.append(record) == .stored)
        #expect(try await again.clearHealedDamage() == 0)
        #expect(again.status.quarantinedRanges.isEmpty)
        #expect(again.status.isUncertain == false)
        await again.close()
    }
}
