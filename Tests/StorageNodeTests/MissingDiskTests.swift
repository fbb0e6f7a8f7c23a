// SPDX-License-Identifier: Apache-2.0

import Foundation
import Placement
import SegmentStore
import StorageNode
import Testing

/// Disks that are not there when their node starts, and those that should not be.
@Suite(.timeLimit(.minutes(5)))
struct MissingDiskTests {
    @Test func `an empty mount point is a missing disk, never a new one`() async throws {
        try await Place.with { place in
            var store = try place.open(2)
            for low: UInt64 in 0..<40 { _ = try await store.append(Fixture.record(low)) }
            await store.close()
            try place.unmount(2)
            store = try place.open(2)
            #expect(store.missing.map(\.path) == [place.disk(2)])
            #expect(store.status.reason?.contains("\(place.disk(2)) is missing") == true)
            #expect(store.status.isUncertain && store.status.acceptsWrites)
            #expect(try FileManager.default.contentsOfDirectory(atPath: place.disk(2)).isEmpty)
            #expect(store.status.recordCount > 5 && store.status.recordCount < 35)
            #expect(try await store.append(Fixture.record(100)) == .stored)
            await store.close()
            // Nor where another directory is named for it.
            store = try place.open([place.disk(1), place.disk(3)])
            #expect(Set(store.missing.map(\.path)) == [place.disk(2), place.disk(3)])
            await store.close()
            try place.mount(2)
            store = try place.open(2)
            #expect(store.missing.isEmpty && store.status.recordCount == 41)
            for low: UInt64 in 0..<40 { try await store.verify(Fixture.id(low)) }
            // What was stored elsewhere meanwhile is not known until somebody compares.
            #expect(store.status.isUncertain)
            let remaining = try await store.clearHealedDamage(isReconciled: true, unnamed: nil)
            #expect(remaining == 0 && !store.status.isUncertain)
            await store.close()
            store = try place.open(2)
            #expect(!store.status.isUncertain)
            await store.close()
        }
    }

    @Test func `a disk of another node is not used`() async throws {
        try await Place.with { other in
            let foreign = try other.open(1)
            _ = try await foreign.append(Fixture.record(1))
            await foreign.close()
            try await Place.with { place in
                await (try place.open(2)).close()
                try place.unmount(2)
                try FileManager.default.removeItem(atPath: place.disk(2))
                try FileManager.default.copyItem(atPath: other.disk(1), toPath: place.disk(2))
                let store = try place.open(2)
                #expect(store.missing.map(\.path) == [place.disk(2)])
                #expect(store.missing.first?.reason.contains("belongs to node") == true)
                #expect(try await store.head(Fixture.id(1)) == nil)
                await store.close()
            }
        }
    }

    @Test func `two disks may change places, and a copy of one is refused`() async throws {
        try await Place.with { place in
            var store = try place.open(2)
            for low: UInt64 in 0..<20 { _ = try await store.append(Fixture.record(low)) }
            await store.close()
            try place.unmount(1)
            try FileManager.default.removeItem(atPath: place.disk(1))
            try FileManager.default.moveItem(atPath: place.disk(2), toPath: place.disk(1))
            try FileManager.default.moveItem(atPath: "\(place.root)/away-1", toPath: place.disk(2))
            store = try place.open(2)
            #expect(store.missing.isEmpty && store.status.recordCount == 20)
            await store.close()
            try FileManager.default.removeItem(atPath: place.disk(2))
            try FileManager.default.copyItem(atPath: place.disk(1), toPath: place.disk(2))
            store = try place.open(2)
            #expect(store.disks.count == 1 && store.missing.contains { $0.path == place.disk(2) })
            await store.close()
        }
    }

    @Test func `the first start needs all disks, and new ones must be empty`() async throws {
        try await Place.with { place in
            #expect(throws: StorageNodeError.self) { try place.open([place.disk(1), "\(place.root)/none"]) }
            try Data().write(to: URL(fileURLWithPath: "\(place.disk(2))/holiday.jpg"))
            #expect(throws: StorageNodeError.self) { try place.open(2) }
            await (try place.open(1)).close()
        }
    }

    @Test func `a node of one disk takes more`() async throws {
        try await Place.with { place in
            var store = try place.open([place.home])
            for low: UInt64 in 0..<20 { _ = try await store.append(Fixture.record(low)) }
            await store.close()
            // The records at home must not be forgotten.
            #expect(throws: StorageNodeError.self) { try place.open([place.disk(1)]) }
            store = try place.open([place.home, place.disk(1)])
            for low: UInt64 in 0..<120 { _ = try await store.append(Fixture.record(low)) }
            #expect(store.status.recordCount == 120 && !store.status.isUncertain)
            #expect(store.disks.allSatisfy { $0.store.status.recordCount > 20 })
            await store.close()
        }
    }

    @Test func `a damaged list of disks is an error`() async throws {
        try await Place.with { place in
            await (try place.open(2)).close()
            try Data("even yes\n".utf8).write(to: URL(fileURLWithPath: place.registry))
            #expect(throws: StorageNodeError.self) { try place.open(2) }
        }
    }
}
