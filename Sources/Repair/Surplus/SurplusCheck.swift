// SPDX-License-Identifier: Apache-2.0

import Catalog
import Checksums
import NIOConcurrencyHelpers
import Placement
import Reconciliation
import ReplicationProtocol

/// Asks the nodes that keep copies whether each has them whole, before another copy is dropped.
///
/// Any doubt about any of them keeps the copy.
struct SurplusCheck: Sendable {
    /// What came out for one record.
    enum Verdict: Sendable {
        /// All keepers have it whole; what its node is to be told.
        case surplus(DropRequest.Item)
        /// Something is away or busy, or is still on its way: it counts for nothing.
        case passing(String)
        case definite(String)
    }

    let owner: any SurplusPeer
    let keepers: [any SurplusPeer]
    /// Records that are checked at once.
    let window: Int
    let clock: RepairClock
    /// How long a record of so many bytes waits for its turn at a node.
    let delay: @Sendable (_ byteCount: Int64, _ node: NodeID) -> Duration

    /// The verdicts on records of one group, in ascending order of their ids.
    func run(_ records: [SurplusRecord]) async -> [(record: SurplusRecord, verdict: Verdict)] {
        guard let first = records.first?.record, let last = records.last?.record else { return [] }
        let said: [RecordID: [RecordAmendment]]
        do throws(ReplicationError) {
            said = Dictionary(grouping: try await Self.amendments(at: owner, from: first, to: last), by: \.recordID)
        } catch {
            let reason = "\(owner.name): \(error)"
            return records.map { ($0, error.mayPass ? .passing(reason) : .definite(reason)) }
        }
        return await withTaskGroup(of: (Int, Verdict).self) { tasks in
            var next = records.startIndex
            func start() {
                guard next < records.endIndex else { return }
                let (number, record) = (next, records[next])
                next += 1
                tasks.addTask { await check(number, record, said[record.record] ?? []) }
            }
            for _ in 0..<max(1, window) { start() }
            var verdicts: [Int: Verdict] = [:]
            while let (number, verdict) = await tasks.next() {
                verdicts[number] = verdict
                start()
            }
            return records.enumerated().map { number, record in
                (record, verdicts[number] ?? .passing("it was not looked at"))
            }
        }
    }

    private func check(
        _ number: Int,
        _ record: SurplusRecord,
        _ said: [RecordAmendment]
    ) async -> (Int, Verdict) {
        (number, await check(record, said))
    }

    private func check(_ record: SurplusRecord, _ said: [RecordAmendment]) async -> Verdict {
        var digest: SHA256Digest?
        for keeper in keepers {
            let pause = delay(record.byteCount, keeper.id)
            // Cancellation ends the wait; the next request fails then.
            if pause > .zero { await clock.sleep(pause) }
            do throws(ReplicationError) {
                guard let found = try await keeper.digest(of: record.record) else {
                    return .definite("\(keeper.name) does not have it, though its copy is counted")
                }
                guard found == digest ?? found else { return .definite("the copies that stay differ") }
                digest = found
                try await keeper.verify(record.record)
                guard try await knows(keeper, said, of: record.record) else {
                    return .passing("\(keeper.name) does not know yet all that was said about it")
                }
            } catch {
                let reason = "\(keeper.name): \(error)"
                return error.mayPass ? .passing(reason) : .definite(reason)
            }
        }
        guard let digest else { return .definite("no node keeps it") }
        return .surplus(
            DropRequest.Item(recordID: record.record, payloadDigest: digest, isHeldElsewhere: !said.isEmpty)
        )
    }

    /// Whether a keeper has all amendments of a record that its owner has.
    private func knows(
        _ keeper: any SurplusPeer,
        _ said: [RecordAmendment],
        of record: RecordID
    ) async throws(ReplicationError) -> Bool {
        guard !said.isEmpty else { return true }
        let known = Set(try await Self.amendments(at: keeper, from: record, to: record).map(\.order))
        return said.allSatisfy { known.contains($0.order) }
    }

    /// All that a node knows to be said about the records of a range; fails when it cannot read some of it.
    private static func amendments(
        at peer: any SurplusPeer,
        from first: RecordID,
        to last: RecordID
    ) async throws(ReplicationError) -> [RecordAmendment] {
        var all: [RecordAmendment] = []
        var (start, order) = (first, RecordAmendment.Order(term: Term(rawValue: 0), sequence: 0))
        while true {
            let page = try await peer.amendments(from: start, firstOrder: order, to: last)
            guard page.isComplete else { throw ReplicationError(.unknown, "some of what was said cannot be read") }
            all += page.amendments
            guard page.hasMore, let end = page.amendments.last else { return all }
            guard end.order.sequence < .max else { throw ReplicationError(.unknown, "a sequence without a next one") }
            start = end.recordID
            order = RecordAmendment.Order(term: end.order.term, sequence: end.order.sequence + 1)
        }
    }
}
