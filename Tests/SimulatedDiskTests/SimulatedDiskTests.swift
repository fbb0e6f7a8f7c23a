// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore
import SegmentStore
import SimulatedDisk
import Testing

/// The model that the crash tests rest on does what it says.
@Suite struct SimulatedDiskTests {
    private static func bytes(_ byte: UInt8, _ count: Int) -> ByteBuffer { ByteBuffer(repeating: byte, count: count) }

    private static func made() throws -> (disk: SimulatedDisk, file: any DiskFile) {
        let disk = SimulatedDisk()
        try disk.createDirectory("/d")
        try disk.syncDirectory("/")
        let file = try disk.createFile("/d/a")
        try disk.syncDirectory("/d")
        return (disk, file)
    }

    private static func number(of body: () throws -> Void) -> Int32? {
        do {
            try body()
            return nil
        } catch {
            return (error as? DiskError)?.number
        }
    }

    /// What a loss of power leaves, over many of them.
    private static func losses(_ disk: SimulatedDisk, _ body: (SimulatedDisk) throws -> Void) rethrows {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<200 { try body(disk.afterPowerLoss(using: &generator)) }
    }

    @Test func whatWasSyncedSurvivesALossOfPower() throws {
        let (disk, file) = try Self.made()
        try file.write([Self.bytes(1, 4096), Self.bytes(2, 4096)], at: 0)
        try file.sync()
        Self.losses(disk) { after in
            #expect(after.bytes(at: "/d/a") == [UInt8](repeating: 1, count: 4096) + [UInt8](repeating: 2, count: 4096))
        }
    }

    @Test(arguments: [512, 4096])
    func whatWasNotSyncedSurvivesInAnyParts(sector: Int) throws {
        let disk = SimulatedDisk(sectorByteCount: sector)
        try disk.createDirectory("/d")
        try disk.syncDirectory("/")
        let file = try disk.createFile("/d/a")
        try disk.syncDirectory("/d")
        try file.write([Self.bytes(1, 8192)], at: 0)
        try file.sync()
        try file.write([Self.bytes(2, 8192)], at: 0)
        var seen: Set<[UInt8]> = []
        Self.losses(disk) { after in
            let bytes = after.bytes(at: "/d/a") ?? []
            let sectors = stride(from: 0, to: bytes.count, by: sector).map { Set(bytes[$0..<($0 + sector)]) }
            #expect(sectors.count == 8192 / sector && sectors.allSatisfy { $0 == [1] || $0 == [2] })
            seen.insert(bytes)
        }
        #expect(seen.count > 3)
        // A killed process loses nothing.
        #expect(disk.afterProcessKill().bytes(at: "/d/a") == [UInt8](repeating: 2, count: 8192))
    }

    @Test func namesSurviveOnlyWithTheirDirectorySynced() throws {
        let (disk, file) = try Self.made()
        try file.write([Self.bytes(1, 10)], at: 0)
        try file.sync()
        let other = try disk.createFile("/d/b")
        try other.write([Self.bytes(2, 10)], at: 0)
        try other.sync()
        var kept = 0
        Self.losses(disk) { after in kept += after.bytes(at: "/d/b") == nil ? 0 : 1 }
        #expect(kept > 0 && kept < 200)
        try disk.removeFile("/d/a")
        kept = 0
        Self.losses(disk) { after in kept += after.bytes(at: "/d/a") == nil ? 0 : 1 }
        #expect(kept > 0 && kept < 200)
        try disk.syncDirectory("/d")
        Self.losses(disk) { after in #expect(after.paths == ["/d/b"]) }
    }

    @Test func aMoveIsWholeOrNot() throws {
        let (disk, file) = try Self.made()
        try file.write([Self.bytes(1, 10)], at: 0)
        try file.sync()
        try disk.createDirectory("/e")
        try disk.syncDirectory("/")
        try disk.moveFile("/d/a", to: "/e/a")
        var seen: Set<[String]> = []
        Self.losses(disk) { seen.insert($0.paths) }
        #expect(seen == [["/d/a"], ["/e/a"]])
        try disk.syncDirectory("/e")
        Self.losses(disk) { #expect($0.paths == ["/e/a"]) }
    }

    @Test func afterAFailedSyncMemoryHoldsWhatTheDiskDoesNot() throws {
        let (disk, file) = try Self.made()
        try file.write([Self.bytes(1, 8192)], at: 0)
        disk.failNext(.sync, number: EIO)
        #expect(Self.number { try file.sync() } == EIO)
        #expect(try file.read(at: 0, byteCount: 8192) == Self.bytes(1, 8192))
        // A second sync says yes and helps nothing.
        try file.sync()
        file.dropCache()
        #expect(try file.read(at: 0, byteCount: 8192) != Self.bytes(1, 8192))
    }

    @Test func itStopsAtAnyEffectAndStaysStopped() throws {
        for effect in 0..<4 {
            let disk = SimulatedDisk(crashAt: effect)
            var done = 0
            let failure = Self.number {
                try disk.createDirectory("/d")
                done += 1
                let file = try disk.createFile("/d/a")
                done += 1
                try file.write([Self.bytes(1, 100)], at: 0)
                done += 1
                try file.sync()
            }
            #expect(failure == EIO && done == effect && disk.isCrashed)
            #expect(Self.number { _ = try disk.createFile("/d/b") } == EIO)
            if effect == 2 { #expect(disk.bytes(at: "/d/a") == [UInt8](repeating: 1, count: 50)) }
        }
    }

    @Test func writesGoAstrayOrNowhere() throws {
        let (disk, file) = try Self.made()
        let other = try disk.createFile("/d/b")
        try other.write([Self.bytes(9, 100)], at: 0)
        try other.sync()
        disk.setFaults { event in
            guard event.operation == .write else { return nil }
            return event.range.lowerBound == 0 ? .lost : .misdirected(path: "/d/b", offset: 50)
        }
        try file.write([Self.bytes(1, 10)], at: 0)
        try file.write([Self.bytes(2, 10)], at: 10)
        try file.sync()
        file.dropCache()
        other.dropCache()
        #expect(try file.read(at: 0, byteCount: 20) == Self.bytes(0, 10))
        let parts: [(byte: UInt8, count: Int)] = [(9, 50), (2, 10), (9, 40)]
        #expect(disk.bytes(at: "/d/b") == parts.flatMap { [UInt8](repeating: $0.byte, count: $0.count) })
    }

    @Test func sectorsThatCanNotBeReadFailUntilTheyAreWritten() throws {
        let (disk, file) = try Self.made()
        try file.write([Self.bytes(1, 4096)], at: 0)
        disk.breakSectors(of: "/d/a", 512..<1024)
        #expect(try file.read(at: 0, byteCount: 512) == Self.bytes(1, 512))
        #expect(Self.number { _ = try file.read(at: 0, byteCount: 513) } == EIO)
        try file.write([Self.bytes(2, 1024)], at: 512)
        #expect(try file.read(at: 512, byteCount: 1024) == Self.bytes(2, 1024))
    }

    @Test func aDiskWithASizeFillsUp() throws {
        let (disk, file) = try Self.made()
        disk.setCapacity(10_000)
        try file.allocate(0..<8192)
        #expect(try disk.freeByteCount(at: "/d") == 1808)
        try file.write([Self.bytes(1, 8192)], at: 0)
        #expect(Self.number { try file.write([Self.bytes(1, 4096)], at: 8192) } == ENOSPC)
        #expect(Self.number { try file.allocate(8192..<12_288) } == ENOSPC)
        try file.cutReserve(at: 4096)
        #expect(try disk.freeByteCount(at: "/d") == 5904)
    }

    @Test func aDirectoryThatIsNotThereTakesNoFile() throws {
        let disk = SimulatedDisk()
        #expect(Self.number { _ = try disk.createFile("/d/a") } == ENOENT)
        try disk.createDirectory("/d")
        _ = try disk.createFile("/d/a")
        try disk.syncDirectory("/d")
        var seen: Set<[String]> = []
        Self.losses(disk) { seen.insert($0.paths) }
        #expect(seen == [[], ["/d/a"]])
    }

    @Test func aLockIsHeldUntilItsHolderIsGone() throws {
        let disk = SimulatedDisk()
        var holder = try disk.lock("/d/LOCK")
        #expect(holder != nil)
        #expect(try disk.lock("/d/LOCK") == nil)
        holder = nil
        #expect(try disk.lock("/d/LOCK") != nil)
    }
}
