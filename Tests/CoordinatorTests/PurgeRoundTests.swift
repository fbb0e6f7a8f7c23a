// SPDX-License-Identifier: Apache-2.0

import Catalog
import Coordinator
import Logging
import NIOConcurrencyHelpers
import Placement
import ReplicationProtocol
import Testing

/// What happened, in its order, to the catalog and to the nodes.
private final class Diary: PurgeLedger {
    struct Noted: Hashable {
        let permit: PurgePermit
        let destroyed: Int64
        let remaining: Int64
        let note: String
    }

    let issued = NIOLockedValueBox<[PurgePermit]>([])
    let noted = NIOLockedValueBox<[Noted]>([])
    let failure = NIOLockedValueBox<CatalogError?>(nil)

    func issuePurgePermit(_ permit: PurgePermit, term: Term) async throws(CatalogError) {
        if let failure = failure.withLockedValue({ $0 }) { throw failure }
        issued.withLockedValue { $0.append(permit) }
    }

    func notePurge(
        _ permit: PurgePermit,
        destroyed: Int64,
        remaining: Int64,
        note: String,
        term: Term
    ) async throws(CatalogError) {
        noted.withLockedValue {
            $0.append(Noted(permit: permit, destroyed: destroyed, remaining: remaining, note: note))
        }
    }
}

/// A node with some segments in its trash.
private final class Bin: PurgePeer {
    let id: NodeID
    let name: String
    let segments: NIOLockedValueBox<UInt64>
    let refusal: ReplicationError?
    private let diary: Diary

    init(_ number: UInt64, segments: UInt64 = 0, refusal: ReplicationError? = nil, _ diary: Diary) {
        (id, name) = (NodeID(high: 1, low: number), "storage-\(number)")
        self.segments = NIOLockedValueBox(segments)
        self.refusal = refusal
        self.diary = diary
    }

    func purge(
        _ permit: PurgePermit,
        _ stamp: OrderStamp,
        maximumSegmentCount: UInt64
    ) async throws(ReplicationError) -> PurgeResult {
        #expect(diary.issued.withLockedValue { $0.last } == permit, "a permit is written down before it is given")
        #expect(permit.node == id)
        if let refusal { throw refusal }
        let (done, left) = segments.withLockedValue { segments in
            let done = min(segments, maximumSegmentCount)
            segments -= done
            return (done, segments)
        }
        return PurgeResult(purgedSegmentCount: done, remainingSegmentCount: left)
    }
}

struct PurgeRoundTests {
    private let diary = Diary()

    private func run(_ peers: [Bin]) async throws(CatalogError) -> Bool {
        var generator = SystemRandomNumberGenerator()
        let round = PurgeRound(
            ledger: diary,
            stamp: OrderStamp(term: Term(rawValue: 5), mapEpoch: MapEpoch(rawValue: 1)),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        return try await round.run(peers, retiredBeforeMilliseconds: 1_000, using: &generator)
    }

    @Test func `each node gets a permit of its own, and little is destroyed by one`() async throws {
        let bins = [Bin(1, segments: PurgeRound.segmentLimit + 3, diary), Bin(2, diary), Bin(3, segments: 2, diary)]
        let hasMore = try await run(bins)
        #expect(hasMore)
        #expect(bins.map { $0.segments.withLockedValue { $0 } } == [3, 0, 0])
        let noted = diary.noted.withLockedValue { $0 }
        #expect(noted.map(\.destroyed) == [Int64(PurgeRound.segmentLimit), 0, 2])
        #expect(noted.map(\.remaining) == [3, 0, 0])
        #expect(Set(noted.map(\.permit.description)).count == 3)
        #expect(noted.allSatisfy { $0.permit.retiredBeforeMilliseconds == 1_000 })
        let again = try await run(bins)
        #expect(!again && bins[0].segments.withLockedValue { $0 } == 0)
    }

    @Test func `a node that refuses is left to the next round, and is written down`() async throws {
        let bins = [Bin(1, refusal: ReplicationError(.diskFailed, "broken"), diary), Bin(2, segments: 1, diary)]
        let hasMore = try await run(bins)
        #expect(!hasMore)
        let noted = diary.noted.withLockedValue { $0 }
        #expect(noted.map(\.destroyed) == [0, 1])
        #expect(noted[0].note.contains("broken") && noted[1].note.isEmpty)
    }

    @Test func `what stays before its time is no reason to come again soon`() async throws {
        let early = Bin(1, diary)
        let hasMore = try await run([early])
        #expect(!hasMore)
    }

    @Test func `without the catalog's word there is no permit`() async throws {
        let bin = Bin(1, segments: 1, diary)
        diary.failure.withLockedValue { $0 = CatalogError(.unavailable, "away") }
        let error = await #expect(throws: CatalogError.self) { _ = try await run([bin]) }
        #expect(error?.code == .unavailable)
        #expect(bin.segments.withLockedValue { $0 } == 1)
    }

    @Test func `a coordinator whose term is over stops at the first node that says so`() async throws {
        let bins = [Bin(1, refusal: ReplicationError(.staleTerm, "over"), diary), Bin(2, segments: 1, diary)]
        let error = await #expect(throws: CatalogError.self) { _ = try await run(bins) }
        #expect(error?.code == .staleTerm)
        #expect(bins[1].segments.withLockedValue { $0 } == 1 && diary.issued.withLockedValue { $0.count } == 1)
    }

    @Test(
        arguments: [
            (false, nil, true), (true, nil, false), (false, 0, true), (false, 1, false), (true, 0, false),
        ] as [(Bool, UInt64?, Bool)]
    )
    func `a node that may need what is in its trash keeps it`(isUncertain: Bool, damaged: UInt64?, may: Bool) {
        let status = NodeStatusReport(
            recordCount: 1,
            usedBytes: 1,
            freeBytes: 1,
            acceptsWrites: true,
            isUncertain: isUncertain,
            scrub: damaged.map { ScrubStatus(quarantinedCount: $0) }
        )
        #expect(PurgeLimits.mayDestroy(status) == may)
    }
}
