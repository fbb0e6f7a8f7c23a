// SPDX-License-Identifier: Apache-2.0

public import Placement
import ReplicationProtocol
import ReplicationTransport

extension ClusterClient {
    /// The records of a range of ids in one group that are deleted by the latest word that a storage node has.
    ///
    /// For when the catalog cannot be asked. All members are asked, or with `nearest` the group's first; those that do not
    /// answer are passed over.
    public func deletedRecords(in range: ClosedRange<RecordID>, nearest: Int? = nil) async -> Set<RecordID> {
        guard let map else { return [] }
        let members =
            if let nearest {
                Array(map.ranking(of: range.lowerBound.group, copies: configuration.copies).prefix(nearest))
            } else {
                map.members.filter { $0.state != .removed }
            }
        return await withTaskGroup(of: [RecordID: RecordAmendment].self) { tasks in
            for member in members { tasks.addTask { await self.lastWords(in: range, on: member.id) } }
            var last: [RecordID: RecordAmendment] = [:]
            for await words in tasks {
                last.merge(words) { $0.order < $1.order ? $1 : $0 }
            }
            return Set(last.filter { $0.value.kind == .tombstone }.keys)
        }
    }

    /// The latest deletion or undelete of each record, as far as a node tells.
    private func lastWords(in range: ClosedRange<RecordID>, on node: NodeID) async -> [RecordID: RecordAmendment] {
        var last: [RecordID: RecordAmendment] = [:]
        guard let client = client(of: node) else { return last }
        var (first, order) = (range.lowerBound, RecordAmendment.Order(term: Term(rawValue: 0), sequence: 0))
        do throws(ReplicationError) {
            while true {
                let page = try await client.amendments(from: first, firstOrder: order, to: range.upperBound)
                for word in page.amendments where word.kind == .tombstone || word.kind == .undelete {
                    if let known = last[word.recordID], word.order < known.order { continue }
                    last[word.recordID] = word
                }
                guard page.hasMore, let end = page.amendments.last else { return last }
                first = end.recordID
                order = RecordAmendment.Order(term: end.order.term, sequence: end.order.sequence + 1)
            }
        } catch {
            // Others say what it would have said, or nobody does.
            return last
        }
    }
}
