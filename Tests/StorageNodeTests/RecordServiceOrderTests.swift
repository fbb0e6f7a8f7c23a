// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement
import ReplicationProtocol
import ReplicationTransport
import SegmentStore
import StorageNode
import Testing

/// Orders of a coordinator, given through a connection: what is said about records, and what may go.
@Suite(.timeLimit(.minutes(5)))
struct RecordServiceOrderTests {
    @Test func `a tombstone takes a record away, unless a hold forbids it`() async throws {
        try await ServedNode.withDirectory { directory in
            try await ServedNode.with(1, in: directory) { node in
                let request = try await node.put(1, byteCount: 10)
                let hold = try RecordAmendment(.hold, of: 1, sequence: 1)
                #expect(try await node.amend(hold) == .stored)
                #expect(try await node.amend(hold) == .alreadyStored)
                let tombstone = try RecordAmendment(.tombstone, of: 1, sequence: 2)
                let code1 = try await refusal { _ = try await node.amend(tombstone) }
                #expect(code1 == .held)
                let release = try RecordAmendment(.release, of: 1, sequence: 3)
                #expect(try await node.amend(release) == .stored)
                let again = try RecordAmendment(.tombstone, of: 1, sequence: 4)
                #expect(try await node.amend(again) == .stored)
                let gone = try await refusal {
                    _ = try await node.client.head(request.recordID)
                }
                #expect(gone == .notFound)
                let page = try await node.client.amendments(from: request.recordID, to: request.recordID)
                #expect(page == AmendmentPage([hold, release, again], hasMore: false))
                let parts = try await node.client.digest(prefix: request.recordID)
                #expect(parts.map(\.recordCount) == [0])
            }
        }
    }

    @Test func `a term that came with an order is known to store and fence alike`() async throws {
        try await ServedNode.withDirectory { directory in
            let tombstone = try RecordAmendment(.tombstone, of: 1, sequence: 1)
            try await ServedNode.with(1, in: directory) { node in
                let outcome = try await node.amend(tombstone)
                #expect(outcome == .stored)
            }
            try await ServedNode.with(1, in: directory) { node in
                let stale = OrderStamp(term: Term(rawValue: 2), mapEpoch: ServedNode.stamp.mapEpoch)
                let other = try RecordAmendment(.tombstone, of: 2, term: 2, sequence: 1)
                let code2 = try await refusal { _ = try await node.amend(other, stale) }
                #expect(code2 == .staleTerm)
                let hold = try RecordAmendment(.hold, of: 2, term: 2, sequence: 2)
                #expect(try await node.amend(hold, stale) == .stored)
            }
        }
    }

    /// Pages end by count, by bytes and by the range; nothing is left out and nothing comes twice.
    @Test(arguments: [1, 2, 5, 1024])
    func `amendments are listed page by page`(limit: Int) async throws {
        try await ServedNode.withDirectory { directory in
            try await ServedNode.with(1, in: directory) { node in
                var expected: [RecordAmendment] = []
                for low: UInt64 in 1...3 {
                    for sequence: UInt64 in 1...3 {
                        let note = try RecordAmendment(.firstOther, of: low, sequence: sequence, byteCount: 60_000)
                        _ = try await node.amend(note)
                        expected.append(note)
                    }
                }
                var found: [RecordAmendment] = []
                var first = try Fixture.id(0)
                var order = RecordAmendment.Order(term: Term(rawValue: 0), sequence: 0)
                while true {
                    let page = try await node.client.amendments(
                        from: first,
                        firstOrder: order,
                        to: try Fixture.id(2),
                        limit: limit
                    )
                    #expect(page.amendments.count <= min(limit, 4))
                    found += page.amendments
                    guard page.hasMore, let last = page.amendments.last else { break }
                    first = last.recordID
                    order = RecordAmendment.Order(term: last.order.term, sequence: last.order.sequence + 1)
                }
                #expect(found == Array(expected[..<6]))
            }
        }
    }

    @Test func `a permit empties the trash of what was retired before`() async throws {
        try await ServedNode.withDirectory { directory in
            try await ServedNode.with(1, in: directory, isHasty: true) { node in
                // Segments of which nothing counts any more, and the active one.
                for low: UInt64 in 1...12 { try await node.put(low, byteCount: 300_000) }
                for low: UInt64 in 1...12 {
                    _ = try await node.amend(RecordAmendment(.tombstone, of: low, sequence: low))
                }
                while try await node.store.disks[0].store.compactNext() != nil {}
                let trash = node.store.status.trash
                #expect(trash.count >= 2)
                let early = try await node.purge(before: 0)
                #expect(early == PurgeResult(purgedSegmentCount: 0, remainingSegmentCount: 0))
                let one = try await node.purge(before: .max, atMost: 1)
                #expect(one == PurgeResult(purgedSegmentCount: 1, remainingSegmentCount: UInt64(trash.count) - 1))
                let rest = try await node.purge(before: .max)
                #expect(rest == PurgeResult(purgedSegmentCount: UInt64(trash.count) - 1, remainingSegmentCount: 0))
                #expect(node.store.status.trash.isEmpty)
                let stale = try await refusal {
                    _ = try await node.purge(before: .max, term: 2)
                }
                #expect(stale == .staleTerm)
            }
        }
    }

    @Test func `what nothing needs any more goes to the trash by itself`() async throws {
        try await ServedNode.withDirectory { directory in
            try await ServedNode.with(1, in: directory, isHasty: true) { node in
                for low: UInt64 in 1...12 { try await node.put(low, byteCount: 300_000) }
                let compacting = Task {
                    await Compactor(node.store.disks[0].store, interval: .milliseconds(5), logger: Fixture.quiet).run()
                }
                for low: UInt64 in 1...11 {
                    _ = try await node.amend(RecordAmendment(.tombstone, of: low, sequence: low))
                }
                // The suite's time limit ends a wait that never does.
                while node.store.status.trash.count < 2 { try await Task.sleep(for: .milliseconds(5)) }
                try await node.client.verify(Fixture.id(12))
                compacting.cancel()
                await compacting.value
                let other = Task {
                    await Compactor(node.store.disks[0].store, interval: .milliseconds(5), logger: Fixture.quiet).run()
                }
                await node.store.close()
                await other.value
            }
        }
    }
}
