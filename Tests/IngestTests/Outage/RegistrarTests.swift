// SPDX-License-Identifier: Apache-2.0

import Catalog
import DICOM
import DICOMWeb
import Foundation
import Glibc
import Ingest
import Logging
import NIOCore
import NIOPosix
import Placement
import SegmentFormat
import Testing

@Suite struct RegistrarTests {
    private struct Parts {
        let catalog: ScriptedCatalog
        let records: HeldRecords
        let health: CatalogHealth
        let journal: CatalogJournal
        let registrar: Registrar
        let drain: JournalDrain
    }

    private func withParts(_ body: (Parts) async throws -> Void) async throws {
        var template = Array("/tmp/varve-registrar-XXXXXX".utf8CString)
        try #require(mkdtemp(&template) != nil)
        let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
        let threads = NIOThreadPool(numberOfThreads: 1)
        threads.start()
        let logger = Logger(label: "test")
        let (catalog, records, health) = (ScriptedCatalog(), HeldRecords(), CatalogHealth())
        let journal = try CatalogJournal(directory: path, threads: threads, logger: logger)
        let directory = RecordDirectory(
            list: { range, _ throws(RetrieveFailure) in try records.list(range) },
            records: records,
            deleted: { range, _ in records.deleted(in: range) }
        )
        let parts = Parts(
            catalog: catalog,
            records: records,
            health: health,
            journal: journal,
            registrar: Registrar(
                catalog: catalog,
                health: health,
                journal: journal,
                directory: directory,
                nearest: 3,
                logger: logger
            ),
            drain: JournalDrain(
                journal: journal,
                catalog: catalog,
                health: health,
                directory: directory,
                logger: logger
            )
        )
        try await body(parts)
        try await threads.shutdownGracefully()
        // The journal's files, of which a drained one leaves none.
        for name in try FileManager.default.contentsOfDirectory(atPath: path) { unlink("\(path)/\(name)") }
        rmdir(path)
    }

    private static let away = CatalogError(.unavailable, "no answer")

    @Test func `while the catalog answers nothing is noted`() async throws {
        try await withParts { parts in
            let entry = try parts.records.put(MadeInstance.grey(number: 1), receivedAt: 1)
            #expect(try await parts.registrar.enter(entry) == .entered)
            #expect(parts.journal.count == 0)
            #expect(parts.catalog.committed.count == 1)
        }
    }

    @Test(
        "an entry that may be taken later is noted, and entered once when the catalog is back",
        arguments: [
            away, CatalogError(.outcomeUnknown, "lost"), CatalogError(.timedOut, "slow"),
            CatalogError(.overloaded, "busy"), CatalogError(.failed, "disk full", sqlState: "53100"),
        ]
    )
    func notedAndEntered(failure: CatalogError) async throws {
        try await withParts { parts in
            parts.catalog.fail(failure)
            let entry = try parts.records.put(MadeInstance.grey(number: 1), receivedAt: 1)
            #expect(try await parts.registrar.enter(entry) == .noted)
            #expect(parts.health.isAway == (failure.code != .overloaded))
            #expect(parts.journal.count == 1)
            try await parts.drain.drain()
            #expect(parts.journal.count == 1, "the catalog is still away")
            parts.catalog.fail(nil)
            parts.health.answered()
            try await parts.drain.drain()
            #expect(parts.journal.count == 0)
            #expect(parts.catalog.commitCount == 1)
            let committed = try #require(parts.catalog.committed[entry.instance.sopInstanceUID])
            #expect(committed.recordID == entry.recordID && committed.contentDigest == entry.contentDigest)
        }
    }

    @Test(
        "what will never be taken is refused at once and not noted",
        arguments: [CatalogError(.invalid, "a zero byte"), CatalogError(.failed, "a bug", sqlState: "42601")]
    )
    func refusedAtOnce(failure: CatalogError) async throws {
        try await withParts { parts in
            parts.catalog.fail(failure)
            let entry = try parts.records.put(MadeInstance.grey(number: 1), receivedAt: 1)
            await #expect(throws: StoreFailure.self) { _ = try await parts.registrar.enter(entry) }
            #expect(parts.journal.count == 0)
        }
    }

    @Test(
        "a catalog that takes nothing now settles no entry",
        arguments: [
            CatalogError(.closed, "shut down"), CatalogError(.configuration, "a wrong password"),
            CatalogError(.schema, "migrating"), CatalogError(.unknownNode, "not registered yet"),
        ]
    )
    func keptUntilTaken(failure: CatalogError) async throws {
        try await withParts { parts in
            parts.health.failed()
            let entry = try parts.records.put(MadeInstance.grey(number: 1), receivedAt: 1)
            #expect(try await parts.registrar.enter(entry) == .noted)
            parts.catalog.fail(failure)
            parts.health.answered()
            try await parts.drain.drain()
            #expect(parts.journal.count == 1)
            #expect(parts.drain.refusedCount == 0)
            parts.catalog.fail(nil)
            try await parts.drain.drain()
            #expect(parts.journal.count == 0)
            #expect(parts.catalog.committed.count == 1)
        }
    }

    @Test func `without the catalog the first content under a UID wins, also when it is sent again`() async throws {
        try await withParts { parts in
            let first = try parts.records.put(MadeInstance.grey(number: 1, fill: 1), receivedAt: 1)
            #expect(try await parts.registrar.enter(first) == .entered)
            parts.health.failed()
            let other = try parts.records.put(MadeInstance.grey(number: 1, fill: 2), receivedAt: 2)
            let refusal = await #expect(throws: StoreFailure.self) { _ = try await parts.registrar.enter(other) }
            #expect(refusal?.kind == .conflict)
            // The record of the refused one is there now; the first is still the first.
            var again = try parts.records.put(MadeInstance.grey(number: 1, fill: 1), receivedAt: 3)
            again.receivedAtMilliseconds = 3
            #expect(try await parts.registrar.enter(again) == .noted)
            parts.health.answered()
            try await parts.drain.drain()
            #expect(parts.drain.refusedCount == 0)
            #expect(parts.catalog.committed[first.instance.sopInstanceUID]?.contentDigest == first.contentDigest)
        }
    }

    @Test func `a conflict that nobody could see is reported and does not hold up the others`() async throws {
        try await withParts { parts in
            let first = try parts.records.put(MadeInstance.grey(number: 1, fill: 1), receivedAt: 1)
            #expect(try await parts.registrar.enter(first) == .entered)
            parts.health.failed()
            parts.records.silence(true)
            let other = try parts.records.put(MadeInstance.grey(number: 1, fill: 2), receivedAt: 2)
            #expect(try await parts.registrar.enter(other) == .noted)
            let third = try parts.records.put(MadeInstance.grey(number: 2), receivedAt: 3)
            #expect(try await parts.registrar.enter(third) == .noted)
            parts.health.answered()
            try await parts.drain.drain()
            #expect(parts.journal.count == 2, "records that cannot be read now are kept for later")
            parts.records.silence(false)
            try await parts.drain.drain()
            #expect(parts.journal.count == 0)
            #expect(parts.drain.refusedCount == 1)
            #expect(parts.catalog.committed.count == 2)
            #expect(parts.catalog.committed[first.instance.sopInstanceUID]?.contentDigest == first.contentDigest)
        }
    }

    @Test func `what is in the trash is refused with and without the catalog`() async throws {
        try await withParts { parts in
            let entry = try parts.records.put(MadeInstance.grey(number: 1, fill: 1), receivedAt: 1)
            #expect(try await parts.registrar.enter(entry) == .entered)
            parts.catalog.delete(entry.instance.sopInstanceUID, as: entry.recordID)
            parts.records.delete(entry.recordID, isKept: true)
            let other = try parts.records.put(MadeInstance.grey(number: 1, fill: 2), receivedAt: 2)
            let new = try parts.records.put(MadeInstance.grey(number: 2), receivedAt: 3)
            for isAway in [false, true] {
                if isAway { parts.health.failed() }
                for refused in [entry, other] {
                    let refusal = await #expect(throws: StoreFailure.self) {
                        _ = try await parts.registrar.enter(refused)
                    }
                    #expect(refusal?.kind == .deleted)
                }
                #expect(try await parts.registrar.enter(new) == (isAway ? .noted : .entered))
            }
            // A node that was away lists it, and what was refused under its UID lies about, too.
            let found = try await parts.registrar.directory.instances(study: entry.study.studyInstanceUID)
            #expect(found.map(\.recordID) == [new.recordID])
        }
    }

    @Test func `an entry that somebody else has entered settles though no node gives its record`() async throws {
        try await withParts { parts in
            parts.health.failed()
            let cold = try parts.records.put(MadeInstance.grey(number: 1), receivedAt: 1)
            let unknown = try parts.records.put(MadeInstance.grey(number: 2), receivedAt: 2)
            for entry in [cold, unknown] { #expect(try await parts.registrar.enter(entry) == .noted) }
            _ = try await parts.catalog.commit(cold)
            parts.records.silence(true)
            parts.health.answered()
            try await parts.drain.drain()
            #expect(parts.journal.count == 1 && parts.drain.refusedCount == 0)
            parts.records.silence(false)
            try await parts.drain.drain()
            #expect(parts.journal.count == 0 && parts.catalog.committed.count == 2)
        }
    }

    @Test func `an entry of what was deleted meanwhile settles`() async throws {
        try await withParts { parts in
            parts.health.failed()
            let unreadable = try parts.records.put(MadeInstance.grey(number: 1), receivedAt: 1)
            let readable = try parts.records.put(MadeInstance.grey(number: 2), receivedAt: 2)
            let other = try parts.records.put(MadeInstance.grey(number: 3, fill: 3), receivedAt: 3)
            for entry in [unreadable, readable, other] {
                #expect(try await parts.registrar.enter(entry) == .noted)
                parts.catalog.delete(
                    entry.instance.sopInstanceUID,
                    as: entry.instance == other.instance ? unreadable.recordID : entry.recordID
                )
            }
            parts.records.delete(unreadable.recordID)
            parts.health.answered()
            parts.catalog.fail(CatalogError(.unavailable, "away again"))
            try await parts.drain.drain()
            #expect(parts.journal.count == 3, "not known to be in the trash")
            parts.catalog.fail(nil)
            parts.health.answered()
            try await parts.drain.drain()
            #expect(parts.journal.count == 0)
            #expect(parts.catalog.committed.isEmpty)
            // Acknowledged without the catalog, and in the trash as another record: nobody gets to see it.
            #expect(parts.drain.refusedCount == 1)
        }
    }

    /// From the end of an outage until the journal is entered, the catalog does not know what was acknowledged.
    @Test func `what the catalog is owed is found on the nodes`() async throws {
        try await withParts { parts in
            let directory = FallbackDirectory(
                catalog: parts.catalog,
                nodes: parts.registrar.directory,
                journal: parts.journal,
                health: parts.health,
                logger: Logger(label: "test")
            )
            let entered = try parts.records.put(MadeInstance.grey(number: 1), receivedAt: 1)
            #expect(try await parts.registrar.enter(entered) == .entered)
            parts.health.failed()
            let owed = try parts.records.put(MadeInstance.grey(number: 2), receivedAt: 2)
            #expect(try await parts.registrar.enter(owed) == .noted)
            parts.health.answered()

            let study = owed.study.studyInstanceUID
            func found(_ entry: InstanceEntry?) async throws -> [RecordID] {
                guard let entry else { return try await directory.instances(of: .study(study)).map(\.recordID) }
                let series = entry.series.seriesInstanceUID
                let item = DICOMWebItem.instance(study: study, series: series, instance: entry.instance.sopInstanceUID)
                return try await directory.instances(of: item).map(\.recordID)
            }
            for isDrained in [false, true] {
                #expect(try await found(owed) == [owed.recordID])
                #expect(try await found(entered) == [entered.recordID])
                #expect(try await Set(found(nil)) == [entered.recordID, owed.recordID])
                #expect(try await found(nil).count == 2)
                // When no node can be asked, nothing is denied that may be there.
                parts.records.silence(true)
                #expect(try await found(entered) == [entered.recordID])
                #expect(try await directory.instances(of: .study(study + ".1")).isEmpty)
                if !isDrained {
                    await #expect(throws: RetrieveFailure.self) { _ = try await found(owed) }
                    await #expect(throws: RetrieveFailure.self) { _ = try await found(nil) }
                    parts.records.silence(false)
                    try await parts.drain.drain()
                }
            }
            #expect(!parts.journal.owes(study: study))
        }
    }

    @Test func `instances are found by UID on the nodes, one record each`() async throws {
        try await withParts { parts in
            for number in 1...20 { _ = try parts.records.put(MadeInstance.grey(number: number), receivedAt: 100) }
            let late = try parts.records.put(MadeInstance.grey(number: 7, fill: 9), receivedAt: 200)
            let directory = parts.registrar.directory
            let study = late.study.studyInstanceUID
            let found = try await directory.instances(study: study)
            #expect(found.count == 20)
            #expect(!found.contains { $0.recordID == late.recordID })
            let one = try await directory.instances(study: study, instance: late.instance.sopInstanceUID)
            #expect(one.count == 1 && one.first?.metadata.receivedAtMilliseconds == 100)
            #expect(try await directory.instances(study: study + ".1").isEmpty)
        }
    }
}
