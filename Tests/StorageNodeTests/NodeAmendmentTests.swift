// SPDX-License-Identifier: Apache-2.0

import Foundation
import Placement
import SegmentFormat
import SegmentStore
import StorageNode
import Testing

/// What is said about records, on every disk of a node.
@Suite(.timeLimit(.minutes(5)))
struct NodeAmendmentTests {
    @Test func `what is deleted stays deleted whichever disk is missing`() async throws {
        try await Place.with { place in
            var store = try place.open(2)
            for low: UInt64 in 0..<20 { _ = try await store.append(Fixture.record(low)) }
            for low: UInt64 in 0..<20 {
                let tombstone = try Fixture.amendment(.tombstone, of: low, low + 1)
                #expect(try await store.amend(tombstone, under: Fixture.term) == .stored)
                #expect(try await store.amend(tombstone, under: Fixture.term) == .alreadyStored)
            }
            await store.close()
            for number in 1...2 {
                try place.unmount(number)
                store = try place.open(2)
                #expect(store.missing.count == 1)
                for low: UInt64 in 0..<20 {
                    #expect(await Fixture.refusal { _ = try await store.append(Fixture.record(low)) } == .deleted)
                }
                await store.close()
                try place.mount(number)
            }
        }
    }

    @Test func `a disk that comes back learns what was deleted and held meanwhile`() async throws {
        try await Place.with { place in
            var store = try place.open(2)
            for low: UInt64 in 0..<20 { _ = try await store.append(Fixture.record(low)) }
            await store.close()
            try place.unmount(2)
            store = try place.open(2)
            for low: UInt64 in 0..<10 {
                let tombstone = try Fixture.amendment(.tombstone, of: low, low + 1)
                _ = try await store.amend(tombstone, under: Fixture.term)
            }
            _ = try await store.amend(Fixture.amendment(.hold, of: 15, 100), under: Fixture.term)
            await store.close()
            try place.mount(2)
            store = try place.open(2)
            // Before the disks are compared, every one is asked.
            for low: UInt64 in 0..<10 {
                #expect(await Fixture.refusal { _ = try await store.read(Fixture.id(low)) } == .deleted)
                #expect(await Fixture.refusal { _ = try await store.append(Fixture.record(low)) } == .deleted)
            }
            let group = try Fixture.id(0).group
            #expect(try await store.list(group: group, limit: 5) == (10..<15).map { try Fixture.id($0) })
            let held = try Fixture.amendment(.tombstone, of: 15, 101)
            #expect(await Fixture.refusal { _ = try await store.amend(held, under: Fixture.term) } == .held)
            try await store.evenOut(logger: Fixture.quiet)
            for disk in store.disks {
                for low: UInt64 in 0..<10 { #expect(try await disk.store.standing(of: Fixture.id(low)).isDeleted) }
                #expect(try await disk.store.standing(of: Fixture.id(15)).isHeld)
            }
            #expect(try await store.list(group: group, limit: 100) == (10..<20).map { try Fixture.id($0) })
            #expect(try await store.listAmended(group: group, limit: 100).count == 11)
            await store.close()
            // Nothing is left to compare.
            #expect(try String(contentsOfFile: place.registry, encoding: .utf8).hasPrefix("even yes\n"))
        }
    }
}
