// SPDX-License-Identifier: Apache-2.0

public import Placement
public import ReplicationProtocol
import ReplicationTransport

/// Records of a range of ids, as the storage nodes list them.
public struct RecordListing: Sendable {
    /// The ids, ascending.
    public var records: [RecordID] = []
    /// The nodes that hold each of them.
    public var holders: [RecordID: [NodeID]] = [:]
    /// Nodes that could not be asked, with what they or the connection said.
    public var silentNodes: [(name: String, reason: ReplicationError)] = []
    /// The id behind which the next page begins; nil when this was the last.
    public var next: RecordID?
}

extension ClusterClient {
    /// All records of a range of ids in one group that the storage nodes hold, wherever in the cluster they are.
    ///
    /// Complete as long as fewer hosts are silent than hold a copy of an acknowledged record. With `nearest`, only so many
    /// members are asked, the group's first: quicker, and blind to what stands in for them elsewhere.
    ///
    /// - Throws: ``ClusterError`` `.noReadableCopy` when so many hosts are silent that a record may be on those alone, and
    ///   `.noMap`.
    public func records(
        in range: ClosedRange<RecordID>,
        nearest: Int? = nil
    ) async throws(ClusterError) -> RecordListing {
        let group = range.lowerBound.group
        var listing = RecordListing()
        var after = range.lowerBound.predecessor
        // A node lists from an id on, not up to one: the first pages are small.
        var limit = 16
        repeat {
            let page = try await page(of: group, after: after, upTo: range.upperBound, limit: limit, nearest: nearest)
            limit = min(limit * 8, 4096)
            listing.records += page.records
            listing.holders.merge(page.holders) { $1 }
            listing.silentNodes = page.silentNodes
            after = page.next
        } while after != nil
        return listing
    }

    /// At most `limit` records (for each node) of a group behind `after`, up to and with `last`.
    ///
    /// - Throws: as ``records(in:)``.
    public func page(
        of group: PlacementGroup,
        after: RecordID?,
        upTo last: RecordID?,
        limit: Int,
        nearest: Int? = nil
    ) async throws(ClusterError) -> RecordListing {
        guard let map else { throw ClusterError(.noMap, "no placement map yet: is a coordinator running?") }
        let members =
            if let nearest {
                Array(map.ranking(of: group, copies: configuration.copies).prefix(nearest))
            } else {
                map.members.filter { $0.state != .removed }
            }
        typealias Answer = (member: StorageMember, ids: Result<[RecordID], ReplicationError>)
        let answers = await withTaskGroup(of: Answer.self) { tasks in
            for member in members {
                tasks.addTask { (member, await self.list(group, after: after, limit: limit, on: member.id)) }
            }
            var answers: [Answer] = []
            for await answer in tasks { answers.append(answer) }
            return answers.sorted { $0.member.id < $1.member.id }
        }
        var listing = RecordListing()
        var silentHosts: Set<FailureDomain> = []
        // What a node has not listed yet must not be taken for missing: the page ends where the shortest answer does.
        var end = last
        for (member, result) in answers {
            switch result {
            case .success(let ids):
                if ids.count >= limit, let last = ids.last, end.map({ last < $0 }) ?? true { end = last }
                for id in ids { listing.holders[id, default: []].append(member.id) }
            case .failure(let error):
                listing.silentNodes.append((member.name, error))
                silentHosts.insert(member.domain)
            }
        }
        guard silentHosts.count < configuration.acknowledgements else {
            let reasons = listing.silentNodes.map { "\($0.name): \($0.reason)" }.joined(separator: "; ")
            throw ClusterError(.noReadableCopy, "too many storage nodes do not answer (\(reasons))")
        }
        if let end { listing.holders = listing.holders.filter { $0.key <= end } }
        listing.records = listing.holders.keys.sorted()
        listing.next = end == last ? nil : end
        return listing
    }

    private func list(
        _ group: PlacementGroup,
        after: RecordID?,
        limit: Int,
        on node: NodeID
    ) async -> Result<[RecordID], ReplicationError> {
        guard let client = client(of: node) else {
            return .failure(ReplicationError(.notConnected, "the node has left the map"))
        }
        do throws(ReplicationError) {
            return .success(try await client.list(group: group, after: after, limit: limit))
        } catch {
            return .failure(error)
        }
    }
}
