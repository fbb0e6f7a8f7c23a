// SPDX-License-Identifier: Apache-2.0

import Placement
import ReplicationProtocol

/// Has nodes fetch records that one of them has read from a pack: the pack is read once, however many copies are wanted.
struct RecallCopies: Sendable {
    let source: any RecallPeer
    let targets: [any RecallPeer]
    let stamp: OrderStamp
    let limits: RecallLimits

    /// What a node has now, and why it lacks others.
    private struct Taken: Sendable {
        let node: NodeID
        var records: [RecordID] = []
        var reason: String?
    }

    /// The nodes that have each record then, the source among them; and why not all of them do.
    func make(of records: [RecordID]) async -> (holders: [RecordID: [NodeID]], reasons: [String]) {
        var holders: [RecordID: [NodeID]] = [:]
        for record in records { holders[record] = [source.id] }
        guard !records.isEmpty else { return (holders, []) }
        let all = await withTaskGroup(of: Taken.self, returning: [Taken].self) { tasks in
            for target in targets { tasks.addTask { await take(records, to: target) } }
            var all: [Taken] = []
            for await taken in tasks { all.append(taken) }
            return all
        }
        for taken in all {
            for record in taken.records { holders[record]?.append(taken.node) }
        }
        return (holders, all.compactMap(\.reason).sorted())
    }

    private func take(_ records: [RecordID], to target: any RecallPeer) async -> Taken {
        await withTaskGroup(of: (RecordID, ReplicationError?).self, returning: Taken.self) { tasks in
            var taken = Taken(node: target.id)
            var next = 0
            var refusals = 0
            func begin() {
                guard next < records.count, refusals < limits.refusalsInTurn, !Task.isCancelled else { return }
                let record = records[next]
                next += 1
                tasks.addTask { (record, await fetch(record, to: target)) }
            }
            for _ in 0..<limits.pullsAtOnce { begin() }
            while let (record, error) = await tasks.next() {
                if let error {
                    refusals += 1
                    taken.reason = "\(target.name) from \(source.name): \(error)"
                } else {
                    refusals = 0
                    taken.records.append(record)
                }
                begin()
            }
            return taken
        }
    }

    private func fetch(_ record: RecordID, to target: any RecallPeer) async -> ReplicationError? {
        do throws(ReplicationError) {
            try await target.fetch(record, from: source, stamp)
            return nil
        } catch {
            return error
        }
    }
}
