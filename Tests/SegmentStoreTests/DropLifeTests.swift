// SPDX-License-Identifier: Apache-2.0

import Foundation
import NIOCore
import Placement
import SegmentFormat
import SegmentStore
import SimulatedDisk
import Testing

/// Copies come and go by chance in a store of files with the index that is used in earnest, against a model.
@Suite struct DropLifeTests {
    private static func open(_ directory: TemporaryDirectory) throws -> SegmentStore {
        var configuration = Fixture.configuration(directory)
        configuration.segmentByteCount = 64 << 10
        configuration.largeRecordByteCount = 20_000
        configuration.compactionThreshold = 0.2
        return try SegmentStore.open(configuration, logger: Fixture.logger)
    }

    private static func check(_ store: SegmentStore, _ records: [NewRecord], _ stored: Set<Int>) async throws {
        for (number, record) in records.enumerated() {
            if stored.contains(number) {
                try await store.expectStored(record)
            } else {
                let info = try await store.head(record.id)
                #expect(info == nil, "record \(number) is back")
            }
        }
        let ids = try await store.list(group: records[0].id.group, limit: 1000)
        #expect(Set(ids) == Set(stored.map { records[$0].id }))
        #expect(store.status.recordCount == stored.count && store.status.quarantinedRanges.isEmpty)
    }

    @Test func `copies that come and go are what the model says, also after the index was lost`() async throws {
        var generator = SeededGenerator.announced("copies that come and go are what the model says")
        let directory = try TemporaryDirectory()
        var store = try Self.open(directory)
        let records = try (UInt64(0)..<40).map { number in
            try Fixture.record(number, byteCount: number % 7 == 0 ? 30_000 : Int(number) * 400)
        }
        var stored: Set<Int> = []
        var sequence: UInt64 = 0
        for step in 0..<300 {
            let number = Int.random(in: 0..<records.count, using: &generator)
            switch Int.random(in: 0..<100, using: &generator) {
            case ..<45:
                let record = records[number]
                let isLarge = record.payload.readableBytes > 20_000
                let outcome = isLarge ? try await store.appendLarge(record) : try await store.append(record)
                #expect((outcome == .stored) == !stored.contains(number), "step \(step)")
                stored.insert(number)
            case ..<85:
                let chosen = Set((0..<4).map { _ in Int.random(in: 0..<records.count, using: &generator) }).sorted()
                sequence += 1
                let outcomes = try await store.drop(
                    chosen.map { RecordDrop(id: records[$0].id, payloadDigest: records[$0].payloadDigest) },
                    permit: Amendment.Reference(high: 1, low: sequence),
                    mapEpoch: MapEpoch(rawValue: 9),
                    under: Term(rawValue: 1)
                )
                for (one, outcome) in zip(chosen, outcomes) {
                    #expect(outcome == (stored.contains(one) ? .dropped : .absent), "step \(step)")
                    stored.remove(one)
                }
            case ..<95: while try await store.compactNext() != nil {}
            default:
                if Bool.random(using: &generator) { await store.close() } else { await store.abandon() }
                if Bool.random(using: &generator) { try directory.remove("index") }
                store = try Self.open(directory)
            }
            if step % 25 == 0 { try await Self.check(store, records, stored) }
        }
        #expect(!store.status.trash.isEmpty)
        try await Self.check(store, records, stored)
        await store.abandon()
        try directory.remove("index")
        store = try Self.open(directory)
        try await Self.check(store, records, stored)
        await store.close()
    }
}
