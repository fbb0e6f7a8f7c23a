// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import Placement
import SegmentFormat
import SegmentStore
import StorageNode
import Testing

/// Several disks as one, in directories of the machine's disk.
@Suite(.timeLimit(.minutes(5)))
struct NodeStoreTests {
    @Test func `records are spread over the disks and listed in order`() async throws {
        try await Place.with { place in
            let store = try place.open(3)
            for low: UInt64 in (0..<120).reversed() { #expect(try await store.append(Fixture.record(low)) == .stored) }
            for disk in store.disks { #expect(disk.store.status.recordCount > 15) }
            #expect(store.status.recordCount == 120)
            #expect(!store.status.isUncertain && store.status.acceptsWrites && store.status.reason == nil)
            var listed: [RecordID] = []
            let group = try Fixture.id(0).group
            while true {
                let page = try await store.list(group: group, after: listed.last, limit: 7)
                listed += page
                if page.count < 7 { break }
            }
            #expect(listed == (try (0..<120).map { try Fixture.id($0) }))
            for low: UInt64 in 0..<120 {
                #expect(try await store.read(Fixture.id(low)).readableBytes == 1000)
                #expect(try await Fixture.copies(of: low, in: store) == 1)
            }
            #expect(try await store.head(Fixture.id(500)) == nil)
            await store.close()
        }
    }

    @Test func `the same again is success on its disk, and other content a conflict`() async throws {
        try await Place.with { place in
            var store = try place.open(2)
            for low: UInt64 in 0..<20 { _ = try await store.append(Fixture.record(low)) }
            await store.close()
            // The disk that a record is on has no room now: another must not take it again.
            store = try place.open(2, isFull: [1])
            for low: UInt64 in 0..<20 {
                #expect(try await store.append(Fixture.record(low)) == .alreadyStored)
                let code = await Fixture.refusal { _ = try await store.append(Fixture.record(low, content: 8)) }
                #expect(code == .conflict)
                #expect(try await Fixture.copies(of: low, in: store) == 1)
            }
            #expect(store.status.acceptsWrites && store.status.reason?.contains(place.disk(1)) == true)
            for low: UInt64 in 100..<120 { #expect(try await store.append(Fixture.record(low)) == .stored) }
            await store.close()
        }
    }

    @Test func `puts of one record at once end on one disk`() async throws {
        try await Place.with { place in
            let store = try place.open(3)
            for low: UInt64 in 0..<40 {
                let outcomes = try await withThrowingTaskGroup(of: AppendOutcome.self) { tasks in
                    for _ in 0..<8 { tasks.addTask { try await store.append(Fixture.record(low)) } }
                    return try await tasks.reduce(into: []) { $0.append($1) }
                }
                #expect(outcomes.count { $0 == .stored } == 1)
                #expect(try await Fixture.copies(of: low, in: store) == 1)
            }
            await store.close()
        }
    }

    /// One that finds room nowhere goes to the nearest disk, which is to say no; one that comes meanwhile goes there, too.
    @Test func `what is on its way decides where the same record goes`() async throws {
        try await Place.with { place in
            let store = try place.open(2, isFull: [1])
            let full = try #require(store.disks.first { $0.path == place.disk(1) }).store
            var count = 0
            for low: UInt64 in 0..<20 {
                let id = try Fixture.id(low)
                let alone = try await store.withStore(for: id, byteCount: 0) { ObjectIdentifier($0) }
                #expect(alone != ObjectIdentifier(full))
                try await store.withStore(for: id, byteCount: .max) { first in
                    let second = try await store.withStore(for: id, byteCount: 0) { ObjectIdentifier($0) }
                    #expect(second == ObjectIdentifier(first))
                }
                let isNearestFull = try await store.withStore(for: id, byteCount: .max) { $0 === full }
                if isNearestFull { count += 1 }
            }
            #expect(count > 2 && count < 18)
            await store.close()
        }
    }

    @Test func `damage on every disk is told page by page and healed by good copies`() async throws {
        try await Place.with { place in
            var store = try place.open(2)
            for low: UInt64 in 0..<20 { _ = try await store.append(Fixture.record(low)) }
            await store.close()
            for number in 1...2 {
                let folder = "\(place.disk(number))/segments"
                for name in try FileManager.default.contentsOfDirectory(atPath: folder) {
                    let url = URL(fileURLWithPath: "\(folder)/\(name)")
                    var bytes = try Data(contentsOf: url)
                    // In the payload of the first record: it is full of sevens.
                    let place = try #require(bytes.range(of: Data(repeating: 7, count: 100)))
                    bytes[place.lowerBound] = 9
                    try bytes.write(to: url)
                }
            }
            store = try place.open(2)
            var damaged: [UInt64] = []
            for low: UInt64 in 0..<20 where await Fixture.refusal({ try await store.verify(Fixture.id(low)) }) != nil {
                damaged.append(low)
            }
            #expect(damaged.count == 2 && store.status.damagedCount == 2)
            var missing: [RecordID] = []
            var next: NodeStore.DamagePlace?
            repeat {
                let answer = try await store.damage(from: next, limit: 1)
                missing += answer.page.ranges.flatMap(\.missing)
                next = answer.next
            } while next != nil
            #expect(missing.sorted() == (try damaged.map { try Fixture.id($0) }))
            #expect(try await store.clearHealedDamage(isReconciled: false, unnamed: nil) == 2)
            for low in damaged { #expect(try await store.append(Fixture.record(low)) == .stored) }
            for low: UInt64 in 0..<20 { try await store.verify(Fixture.id(low)) }
            #expect(try await store.clearHealedDamage(isReconciled: false, unnamed: nil) == 0)
            await store.close()
        }
    }
}
