// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import SegmentFormat
import SegmentStore
import Testing

@Suite struct IndexTests {
    enum Loss: CaseIterable {
        case removed, garbage, empty, anotherBoot, none
    }

    private static func lose(_ loss: Loss, _ directory: TemporaryDirectory) throws {
        let path = directory.path + "/index"
        switch loss {
        case .removed: try FileManager.default.removeItem(atPath: path)
        case .garbage: try Data(repeating: 0x5A, count: 8192).write(to: URL(fileURLWithPath: path + "/data.mdb"))
        case .empty: try Data().write(to: URL(fileURLWithPath: path + "/data.mdb"))
        case .anotherBoot, .none: break
        }
    }

    @Test(arguments: Loss.allCases, [true, false])
    func aLostIndexIsRebuiltFromTheSegments(loss: Loss, isClean: Bool) async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        var records = try (UInt64(0)..<30).map { try Fixture.record($0, byteCount: 30_000) }
        for record in records { _ = try await store.append(record) }
        let large = try Fixture.record(500, byteCount: 1_500_000)
        #expect(try await store.appendLarge(large) == .stored)
        records.append(large)
        if isClean { await store.close() } else { await store.abandon() }
        try Self.lose(loss, directory)
        let boot = loss == .anotherBoot ? BootID(high: 9, low: 9) : Fixture.boot
        let again = try Fixture.open(directory, boot: boot)
        #expect(again.status.recordCount == 31)
        #expect(again.status.quarantinedRanges.isEmpty)
        // Only a loss of power may have taken what nobody can know about.
        #expect(again.status.isUncertain == (loss == .anotherBoot && !isClean))
        for record in records { try await again.expectStored(record) }
        await again.close()
    }

    @Test func anIndexThatLagsBehindIsBroughtUpToDate() async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        let early = try (UInt64(0)..<5).map { try Fixture.record($0) }
        for record in early { _ = try await store.append(record) }
        await store.abandon()
        let index = directory.path + "/index/data.mdb"
        let copy = try #require(FileManager.default.contents(atPath: index))
        let second = try Fixture.open(directory)
        let late = try (UInt64(5)..<15).map { try Fixture.record($0, byteCount: 40_000) }
        for record in late { _ = try await second.append(record) }
        await second.abandon()
        try copy.write(to: URL(fileURLWithPath: index))
        let third = try Fixture.open(directory)
        #expect(third.status.recordCount == 15)
        for record in early + late { try await third.expectStored(record) }
        await third.close()
    }

    @Test func aLostManifestIsMadeFromTheSegments() async throws {
        let directory = try TemporaryDirectory()
        let store = try Fixture.open(directory)
        var records = try (UInt64(0)..<20).map { try Fixture.record($0, byteCount: 30_000) }
        for record in records { _ = try await store.append(record) }
        let large = try Fixture.record(500, byteCount: 1_500_000)
        #expect(try await store.appendLarge(large) == .stored)
        records.append(large)
        await store.close()
        try FileManager.default.removeItem(atPath: directory.path + "/MANIFEST")
        try FileManager.default.removeItem(atPath: directory.path + "/index")
        let again = try Fixture.open(directory)
        #expect(again.status.isUncertain)
        #expect(again.status.recordCount == 21)
        for record in records { try await again.expectStored(record) }
        let before = try FileManager.default.contentsOfDirectory(atPath: directory.path + "/segments")
        _ = try await again.append(Fixture.record(1000))
        let after = try FileManager.default.contentsOfDirectory(atPath: directory.path + "/segments")
        #expect(after.count == before.count + 1)
        await again.close()
    }
}
