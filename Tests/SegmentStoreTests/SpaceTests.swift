// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import SegmentFormat
import SegmentStore
import SimulatedDisk
import Testing

@Suite struct SpaceTests {
    private static func machine(soft: UInt64, hard: UInt64, capacity: UInt64) -> Machine {
        var machine = Machine()
        machine.configuration.softLimitFreeBytes = soft
        machine.configuration.hardLimitFreeBytes = hard
        machine.configuration.allocationByteCount = 64 << 10
        machine.configuration.segmentByteCount = 256 << 10
        machine.disk.setCapacity(capacity)
        return machine
    }

    @Test func atTheSoftLimitOnlyAmendmentsAreTakenAndAtTheHardLimitNothing() throws {
        let machine = Self.machine(soft: 400 << 10, hard: 100 << 10, capacity: 2 << 20)
        var engine = try machine.open()
        var stored: [NewRecord] = []
        var number: UInt64 = 0
        while number < 1000 {
            let record = try Fixture.record(number, byteCount: 20_000)
            number += 1
            if refusal(of: { _ = try engine.append(record) }) == .full { break }
            stored.append(record)
        }
        #expect(stored.count > 20 && number < 1000)
        #expect(!engine.status.acceptsWrites && engine.status.acceptsAmendments)
        #expect(engine.status.reason?.contains("soft limit") == true)
        #expect(refusal { _ = try engine.appendLarge(Fixture.record(5000)) } == .full)
        // The same again is no write.
        #expect(try engine.append(stored[0]) == .alreadyStored)
        var amendments: UInt64 = 0
        while amendments < 1000 {
            amendments += 1
            let note = stored[Int(amendments) % stored.count].amendment(.hold, amendments)
            if refusal(of: { _ = try engine.amend(note) }) == .full { break }
        }
        #expect(amendments > 30 && amendments < 1000)
        #expect(!engine.status.acceptsAmendments)
        #expect(engine.status.reason?.contains("hard limit") == true)
        for record in stored { try engine.expectStored(record) }
        // It can still be left in order, and taken into use again.
        engine.close()
        var again = try machine.open()
        #expect(!again.status.isUncertain && again.status.quarantinedRanges.isEmpty)
        for record in stored { try again.expectStored(record) }
        machine.disk.setCapacity(4 << 20)
        #expect(again.status.acceptsWrites && again.status.acceptsAmendments && again.status.reason == nil)
        #expect(try again.append(Fixture.record(6000)) == .stored)
        #expect(try again.amend(stored[1].amendment(.hold, 5000)) == .stored)
    }

    @Test func spaceIsNotReservedAheadWhenItIsLow() throws {
        let machine = Self.machine(soft: 1 << 20, hard: 100 << 10, capacity: (1 << 20) + 100_000)
        var engine = try machine.open()
        #expect(try engine.append(Fixture.record(1)) == .stored)
        machine.disk.setCapacity(900 << 10)
        let free = engine.status.freeBytes
        for number in UInt64(1)...20 {
            #expect(try engine.amend(Fixture.record(1).amendment(.hold, number)) == .stored)
        }
        #expect(free - engine.status.freeBytes < 20 * 4096 + 4096)
    }

    /// Without limits every write may be the one that finds no room.
    @Test(arguments: [UInt64(0), 1, 2, 3])
    func aDiskFilledToTheLastByteLosesNothing(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let machine = Self.machine(soft: 0, hard: 0, capacity: 600_000)
        var engine = try machine.open()
        var stored: [NewRecord] = []
        var refused = 0
        for number in UInt64(0)..<80 {
            let record = try Fixture.record(number, byteCount: Int.random(in: 1...60_000, using: &generator))
            let isLarge = number % 5 == 4
            switch refusal(of: { _ = isLarge ? try engine.appendLarge(record) : try engine.append(record) }) {
            case nil: stored.append(record)
            case .full: refused += 1
            case let code: Issue.record("record \(number) failed with \(String(describing: code))")
            }
        }
        #expect(refused > 10 && stored.count > 5)
        for next in [machine.killed(), machine.powered(using: &generator), machine.killed().withoutIndex()] {
            next.disk.setCapacity(nil)
            var again = try next.open()
            for record in stored { try again.expectStored(record) }
            #expect(again.status.quarantinedRanges.filter { $0.kind == .damaged }.isEmpty)
            #expect(try again.append(Fixture.record(1000)) == .stored)
        }
        machine.disk.setCapacity(nil)
        #expect(try engine.append(Fixture.record(1000)) == .stored)
    }

    /// After a clean end and after a kill; without room for one more block of the manifest.
    @Test(arguments: [false, true], [false, true])
    func aFullDiskIsServedAndTakenIntoUseAgain(isKilled: Bool, hasLimits: Bool) throws {
        let limits: UInt64 = hasLimits ? 100 << 10 : 0
        var machine = Self.machine(soft: limits, hard: limits / 2, capacity: 4 << 20)
        let record = try Fixture.record(1, byteCount: 20_000)
        var first = try machine.open()
        #expect(try first.append(record) == .stored)
        if isKilled { machine = machine.killed() } else { first.close() }
        machine.disk.setCapacity(0)

        var engine = try machine.open()
        #expect(engine.status.freeBytes == 0)
        #expect(!hasLimits || !engine.status.acceptsWrites)
        #expect(!engine.status.isUncertain && engine.status.quarantinedRanges.isEmpty)
        try engine.expectStored(record)
        #expect(try engine.append(record) == .alreadyStored)
        #expect(refusal { _ = try engine.append(Fixture.record(2)) } == .full)
        #expect(refusal { _ = try engine.appendLarge(Fixture.record(3)) } == .full)
        try engine.expectStored(record)
        // Whatever ends it, the next start on the full disk finds the same.
        engine.close()
        engine = try machine.open()
        try engine.expectStored(record)

        machine.disk.setCapacity(4 << 20)
        #expect(engine.status.acceptsWrites)
        #expect(try engine.append(Fixture.record(2)) == .stored)
        #expect(try engine.appendLarge(Fixture.record(3)) == .stored)
        let next = machine.killed()
        let again = try next.open()
        #expect(!again.status.isUncertain && again.status.quarantinedRanges.isEmpty)
        for number: UInt64 in 2...3 { try again.expectStored(Fixture.record(number)) }
        try again.expectStored(record)
    }
}
