// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import SegmentFormat
import SegmentStore
import SimulatedDisk
import Testing

/// A store on a disk in memory, and what it takes to open it again.
struct Machine {
    var disk = SimulatedDisk()
    var indexes = MemoryIndexProvider()
    var boot = Fixture.boot
    var configuration = Fixture.configuration(directory: "/store")

    var wallMilliseconds: @Sendable () -> Int64 = { 1_700_000_000_000 }
    var monotonicNanoseconds: @Sendable () -> Int64 = { 0 }

    func open() throws -> StoreEngine {
        let environment = StoreEnvironment(
            disk: disk,
            clock: StoreClock(wallMilliseconds: wallMilliseconds, monotonicNanoseconds: monotonicNanoseconds),
            indexes: indexes,
            boot: boot,
            logger: Fixture.logger
        )
        return try StoreEngine(opening: configuration, in: environment)
    }

    /// The machine after its process was killed.
    func killed(crashAt effect: Int? = nil) -> Machine {
        var next = self
        next.disk = disk.afterProcessKill(crashAt: effect)
        next.indexes = indexes.copy()
        return next
    }

    /// The machine after a loss of power.
    func powered(using generator: inout SeededGenerator, crashAt effect: Int? = nil) -> Machine {
        var next = self
        next.disk = disk.afterPowerLoss(using: &generator, crashAt: effect)
        next.indexes = MemoryIndexProvider()
        next.boot = BootID(high: generator.next(), low: generator.next())
        return next
    }

    /// The machine after somebody removed the index.
    func withoutIndex() -> Machine {
        var next = self
        next.indexes = MemoryIndexProvider()
        return next
    }
}

extension StoreEngine {
    mutating func appendLarge(_ record: NewRecord, pieceByteCount: Int = 40_000) throws -> AppendOutcome {
        var large = try beginLarge(
            NewLargeRecord(
                id: record.id,
                type: record.type,
                metadata: record.metadata,
                payloadByteCount: UInt64(record.payload.readableBytes),
                payloadDigest: record.payloadDigest,
                mapEpoch: record.mapEpoch,
                writtenAtMilliseconds: record.writtenAtMilliseconds
            )
        )
        var rest = record.payload
        while rest.readableBytes > 0, let piece = rest.readSlice(length: min(pieceByteCount, rest.readableBytes)) {
            try large.write(piece)
        }
        return try commit(large)
    }

    mutating func append(_ record: NewRecord) throws -> AppendOutcome {
        try #require(append([record]).first).get()
    }

    mutating func amend(_ amendment: NewAmendment, under term: UInt64 = 1) throws -> AppendOutcome {
        try #require(amend([amendment], under: Term(rawValue: term)).first).get()
    }

    func expectStored(_ record: NewRecord, sourceLocation: SourceLocation = #_sourceLocation) throws {
        #expect(try read(record.id) == record.payload, sourceLocation: sourceLocation)
        let info = try #require(try head(record.id), sourceLocation: sourceLocation)
        #expect(info.metadata == record.metadata, sourceLocation: sourceLocation)
        try verify(record.id)
    }
}

extension NewRecord {
    /// An amendment to this record.
    func amendment(
        _ kind: Amendment.Kind,
        term: UInt64 = 1,
        _ sequence: UInt64,
        reference: UInt64 = 1,
        keptDays: UInt16 = 0,
        payload: String = "because"
    ) -> NewAmendment {
        NewAmendment(
            amendment: Amendment(
                subject: id,
                kind: kind,
                order: Amendment.Order(term: Term(rawValue: term), sequence: sequence),
                reference: Amendment.Reference(high: 0, low: reference),
                issuedAtMilliseconds: 1_700_000_000_000,
                keptDays: keptDays
            ),
            payload: ByteBuffer(string: payload),
            mapEpoch: MapEpoch(rawValue: 9),
            writtenAtMilliseconds: 1_700_000_000_001
        )
    }
}

/// Runs `body` and returns the code of the store's error that it throws.
func refusal(of body: () throws -> Void) -> SegmentStoreError.Code? {
    do {
        try body()
        return nil
    } catch {
        return (error as? SegmentStoreError)?.code
    }
}
