// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import Placement
import SegmentFormat
import SegmentStore
import SimulatedDisk
import Testing

/// The engine alone: no threads, no clock, no files.
@Suite struct EngineTests {
    @Test func doesAllThatAStoreDoes() throws {
        let machine = Machine()
        var engine = try machine.open()
        let records = try (UInt64(0)..<20).map { try Fixture.record($0, byteCount: 30_000) }
        let conflicting = try Fixture.record(3, content: 99)
        let outcomes = engine.append(records + [records[2], conflicting]).map { try? $0.get() }
        #expect(outcomes == records.map { _ in .stored } + [.alreadyStored, nil])
        #expect(try engine.append([records[5], conflicting])[0].get() == .alreadyStored)
        let large = try Fixture.record(100, byteCount: 200_000)
        #expect(try engine.appendLarge(large) == .stored)
        #expect(try engine.appendLarge(large) == .alreadyStored)
        for record in records + [large] { try engine.expectStored(record) }
        #expect(try engine.list(group: large.id.group, limit: 100).count == 21)
        engine.close()
        var again = try machine.open()
        #expect(again.status.recordCount == 21 && !again.status.isUncertain)
        for record in records + [large] { try again.expectStored(record) }
        again.close()
    }

    @Test func theSameCallsGiveTheSameDisk() throws {
        let disks = try (0..<2).map { _ in
            let machine = Machine()
            var engine = try machine.open()
            for wave in UInt64(0)..<6 {
                let records = try (0..<5).map { try Fixture.record(wave * 5 + $0, byteCount: 9000) }
                for result in engine.append(records) { _ = try result.get() }
            }
            _ = try engine.appendLarge(Fixture.record(100, byteCount: 200_000))
            var generator = SeededGenerator(seed: 3)
            let after = machine.powered(using: &generator)
            _ = try after.open()
            return after.disk
        }
        #expect(disks[0].paths == disks[1].paths)
        for path in disks[0].paths { #expect(disks[0].bytes(at: path) == disks[1].bytes(at: path)) }
    }

    @Test(arguments: [512, 4096])
    func aCrashAtAnyEffectLosesNothingAcknowledged(sector: Int) throws {
        var generator = SeededGenerator.announced("aCrashAtAnyEffectLosesNothingAcknowledged")
        var effect = 0
        var isOver = false
        while !isOver {
            var machine = Machine()
            machine.configuration.segmentByteCount = 64 << 10
            machine.disk = SimulatedDisk(crashAt: effect, seed: UInt64(effect), sectorByteCount: sector)
            var stored: [NewRecord] = []
            if var engine = try? machine.open() {
                for wave in UInt64(0)..<5 {
                    let records = try (0..<4).map { try Fixture.record(wave * 10 + $0, byteCount: 9000) }
                    let results = engine.append(records)
                    stored += zip(records, results).compactMap { record, result in
                        (try? result.get()) == nil ? nil : record
                    }
                    let large = try Fixture.record(wave * 10 + 9, byteCount: 30_000)
                    if (try? engine.appendLarge(large)) != nil { stored.append(large) }
                }
                if !machine.disk.isCrashed { engine.close() }
            }
            isOver = !machine.disk.isCrashed
            for next in [machine.killed(), machine.powered(using: &generator)] {
                var engine = try next.open()
                for record in stored { try engine.expectStored(record) }
                let damaged = engine.status.quarantinedRanges.filter { $0.kind == .damaged }
                #expect(damaged.isEmpty, "stopped at effect \(effect)")
                let fresh = try Fixture.record(1000)
                #expect(try engine.append([fresh])[0].get() == .stored)
                let last = next.powered(using: &generator)
                let again = try last.open()
                for record in stored + [fresh] { try again.expectStored(record) }
            }
            effect += 1
        }
        #expect(effect > 50)
    }
}
