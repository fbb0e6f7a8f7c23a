// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import SegmentFormat
import SegmentStore
import SimulatedDisk
import Testing

@Suite struct DamageTests {
    private static func segmentPath(_ directory: TemporaryDirectory, _ number: UInt64 = 1) -> String {
        "\(directory.path)/segments/\(SegmentID(rawValue: number).fileName)"
    }

    @Test func aBitFlippedAnywhereIsNoticed() async throws {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        let store = try Fixture.open(directory, disk: disk)
        let record = try Fixture.record(1, byteCount: 200_000)
        _ = try await store.append(record)
        let path = Self.segmentPath(directory)
        let extent = RecordExtent(payloadByteCount: 200_000, metadataByteCount: 120)
        // Header, metadata, each block of the payload, the table, the trailer.
        var places = [4, 33, 100, 159].map { (place: $0, readsNotice: true) }
        places += [160, 279].map { (place: $0, readsNotice: false) }
        places += [280, 65_815, 65_816, 150_000, 200_279].map { (place: $0, readsNotice: true) }
        places += [Int(extent.tableOffset), Int(extent.trailerOffset) + 5, Int(extent.byteCount) - 1]
            .map { (place: $0, readsNotice: true) }
        for (place, readsNotice) in places {
            disk.tamper(path) { $0[4096 + place] ^= 4 }
            let what: Comment = "byte \(place)"
            #expect(await code { try await store.verify(record.id) } == .checksumMismatch, what)
            if readsNotice {
                #expect(await code { _ = try await store.read(record.id) } == .checksumMismatch, what)
            } else {
                // Metadata is not part of the payload.
                #expect(try await store.read(record.id) == record.payload)
                #expect(await code { _ = try await store.head(record.id) } == .checksumMismatch, what)
            }
            disk.tamper(path) { $0[4096 + place] ^= 4 }
        }
        try await store.expectStored(record)
        #expect(store.status.quarantinedRanges.map(\.kind) == [.damaged])
        await store.close()
    }

    @Test func aSegmentWhoseNoteInTheManifestRottedIsKept() throws {
        let machine = Machine()
        var engine = try machine.open()
        let record = try Fixture.record(0)
        #expect(try engine.append([record]).map { try $0.get() } == [.stored])
        engine.abandon()

        // The last block, which looks like one whose write was torn: it says that the segment was made.
        let next = machine.killed().withoutIndex()
        next.disk.tamper("/store/MANIFEST") { $0[$0.count - 4096 + 40] ^= 1 }
        var again = try next.open()
        #expect(try again.read(record.id) == record.payload)
        #expect(again.status.isUncertain)
        #expect(try again.append([record]).map { try $0.get() } == [.alreadyStored])
        again.abandon()

        var later = try next.killed().withoutIndex().open()
        #expect(try later.read(record.id) == record.payload)
        later.abandon()
    }

    /// Nothing comes behind it, so it looks like a batch that was never finished; the index knows better.
    @Test(arguments: [1, 2])
    func aRottenTailThatTheIndexKnowsIsDamageWhenTheManifestRottedToo(count: Int) throws {
        let machine = Machine()
        var engine = try machine.open()
        let records = try (0..<count).map { try Fixture.record(UInt64($0), byteCount: 100) }
        for record in records { #expect(try engine.append([record]).map { try $0.get() } == [.stored]) }
        engine.abandon()

        let next = machine.killed()
        next.disk.tamper("/store/MANIFEST") { $0[$0.count - 4096 + 40] ^= 1 }
        next.disk.tamper("/store/segments/0000000000000001.seg") { $0[4096 * count + 8] ^= 1 }
        var again = try next.open()
        let lost = records[count - 1]
        #expect(again.status.isUncertain)
        #expect(try again.view.damage().flatMap(\.missing) == [lost.id])
        #expect(try again.append([lost]).map { try $0.get() } == [.stored])
        #expect(try again.read(lost.id) == lost.payload)
        // Copied or left alone: what is somewhere else in no case.
        for segment in again.view.segmentIDs { _ = try again.compact(segment) }
        for record in records { #expect(try again.read(record.id) == record.payload) }
        again.abandon()
    }

    @Test func theOtherBlocksOfADamagedRecordCanBeRead() async throws {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        let store = try Fixture.open(directory, disk: disk)
        let record = try Fixture.record(1, byteCount: 200_000)
        _ = try await store.append(record)
        disk.tamper(Self.segmentPath(directory)) { $0[4096 + 280 + 70_000] ^= 1 }
        #expect(await code { _ = try await store.read(record.id, range: 60_000..<66_000) } == .checksumMismatch)
        let sound = try await store.read(record.id, range: 131_072..<200_000)
        #expect(sound == record.payload.getSlice(at: 131_072, length: 68_928))
        #expect(try await store.read(record.id, range: 10..<65_536) == record.payload.getSlice(at: 10, length: 65_526))
        await store.close()
    }

    @Test func aDamagedRecordIsReplacedWhenItIsStoredAgain() async throws {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        let store = try Fixture.open(directory, disk: disk)
        let record = try Fixture.record(1, byteCount: 100_000)
        let other = try Fixture.record(2)
        _ = try await store.append(record)
        _ = try await store.append(other)
        disk.tamper(Self.segmentPath(directory)) { $0[4096 + 50_000] ^= 1 }
        #expect(try await store.append(record) == .stored)
        try await store.expectStored(record)
        try await store.expectStored(other)
        #expect(store.status.recordCount == 2)
        disk.tamper(Self.segmentPath(directory)) { bytes in
            let start = 4096 + 106_496 + 8192 + 50_000
            bytes[start] ^= 1
        }
        #expect(await code { try await store.verify(record.id) } == .checksumMismatch)
        #expect(try await store.appendLarge(record) == .stored)
        try await store.expectStored(record)
        await store.close()
        let again = try Fixture.open(directory, disk: disk, boot: BootID(high: 5, low: 5))
        try await again.expectStored(record)
        await again.close()
    }

    /// Four records in four batches, the process killed, and then `tamper` at the disk.
    private static func reopened(
        _ directory: TemporaryDirectory,
        boot: BootID,
        tamper: @Sendable (inout [UInt8]) -> Void
    ) async throws -> (SegmentStore, [NewRecord], SimulatedDisk) {
        let disk = SimulatedDisk()
        let store = try Fixture.open(directory, disk: disk)
        let records = try (UInt64(0)..<4).map { try Fixture.record($0, byteCount: 7000) }
        for record in records { _ = try await store.append(record) }
        await store.abandon()
        disk.tamper(segmentPath(directory), tamper)
        let next = disk.afterProcessKill()
        return (try Fixture.open(directory, disk: next, boot: boot), records, next)
    }

    @Test func whatLiesInTheMiddleIsDamageAndTheRestIsKept() async throws {
        let directory = try TemporaryDirectory()
        let boot = BootID(high: 8, low: 8)
        // Each batch takes 8 KiB. The second one's header.
        let (store, records, disk) = try await Self.reopened(directory, boot: boot) { $0[4096 + 8192 + 20] ^= 1 }
        let damage = QuarantinedRange(segment: SegmentID(rawValue: 1), range: 12_288..<20_480, kind: .damaged)
        let found = try #require(store.status.quarantinedRanges.first)
        #expect(found.kind == .damaged && found.range.lowerBound == damage.range.lowerBound)
        #expect(found.range.upperBound <= damage.range.upperBound)
        #expect(store.status.isUncertain && store.status.acceptsWrites)
        for index in [0, 2, 3] { try await store.expectStored(records[index]) }
        #expect(try await store.head(records[1].id) == nil)
        // Another node's copy comes in; until that is said to be all, the store stays uncertain, restarts included.
        #expect(try await store.append(records[1]) == .stored)
        await store.close()
        let again = try Fixture.open(directory, disk: disk, boot: boot)
        #expect(again.status.isUncertain)
        #expect(again.status.quarantinedRanges.map(\.kind) == [.damaged])
        for record in records { try await again.expectStored(record) }
        try await again.markReconciled()
        #expect(!again.status.isUncertain)
        await again.close()
        let last = try Fixture.open(directory, disk: disk, boot: boot)
        #expect(!last.status.isUncertain)
        await last.close()
    }

    @Test func whatLiesAtTheEndIsTorn() async throws {
        let directory = try TemporaryDirectory()
        let (store, records, _) = try await Self.reopened(directory, boot: BootID(high: 8, low: 8)) { bytes in
            bytes[4096 + 3 * 8192 + 1000] ^= 1
        }
        #expect(store.status.quarantinedRanges.map(\.kind) == [.torn])
        for record in records[..<3] { try await store.expectStored(record) }
        #expect(try await store.head(records[3].id) == nil)
        await store.close()
    }

    @Test func aSegmentThatIsGoneIsReported() async throws {
        let directory = try TemporaryDirectory()
        let disk = SimulatedDisk()
        let store = try Fixture.open(directory, disk: disk)
        let record = try Fixture.record(1)
        _ = try await store.append(record)
        await store.close()
        try disk.removeFile(Self.segmentPath(directory))
        let again = try Fixture.open(directory, disk: disk)
        #expect(again.status.isUncertain)
        #expect(again.status.quarantinedRanges.map(\.segment) == [SegmentID(rawValue: 1)])
        #expect(await code { _ = try await again.read(record.id) } == .readFailed)
        // A copy from elsewhere takes its place.
        #expect(try await again.append(record) == .stored)
        try await again.expectStored(record)
        await again.close()
    }

    @Test func aSealedSegmentsDamageIsFoundByReads() async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        let records = try (UInt64(0)..<4).map { try Fixture.record($0) }
        for record in records { _ = try await store.append(record) }
        await store.close()
        let path = Self.segmentPath(directory)
        var bytes = try #require(FileManager.default.contents(atPath: path))
        bytes[4096 + 2000] ^= 1
        try bytes.write(to: URL(fileURLWithPath: path))
        let again = try Fixture.open(directory)
        #expect(await code { _ = try await again.read(records[0].id) } == .checksumMismatch)
        for record in records[1...] { try await again.expectStored(record) }
        await again.close()
    }
}
