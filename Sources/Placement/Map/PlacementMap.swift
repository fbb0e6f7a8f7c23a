// SPDX-License-Identifier: Apache-2.0

/// Which storage nodes hold which placement groups, at one epoch: a pure function of the members.
///
/// Members are ranked for a group by weighted rendezvous hashing (`RendezvousScore`). The first `copies` are chosen one
/// by one: each time a member whose host holds the fewest copies so far, among those one whose site, then whose rack
/// does, and among equals the nearest. Copies are thereby never on one host while another is free, on distinct sites
/// while there are enough sites, else on distinct racks, and even over the sites there are.
///
/// That choice is the greedy solution of a problem with nested (laminar) concave costs, which has the exchange
/// property: taking one member away, or adding one, changes at most one holder of any group.
public struct PlacementMap: Hashable, Sendable {
    /// The most members of a map; what comes after them is left out.
    public static let maximumMemberCount = 4096

    public let epoch: MapEpoch
    /// All members, those that own nothing included, by id; each id once (the first of equals counts).
    public let members: [StorageMember]

    public init(epoch: MapEpoch, members: [StorageMember]) {
        self.epoch = epoch
        var seen: Set<NodeID> = []
        let distinct = members.filter { seen.insert($0.id).inserted }.prefix(Self.maximumMemberCount)
        self.members = distinct.sorted { $0.id < $1.id }
    }

    /// The member with that id.
    public subscript(id: NodeID) -> StorageMember? {
        var lower = 0
        var upper = members.count
        while lower < upper {
            let middle = (lower + upper) / 2
            if members[middle].id < id { lower = middle + 1 } else { upper = middle }
        }
        return lower < members.count && members[lower].id == id ? members[lower] : nil
    }

    /// The members that should hold `group`, then all that could stand in for them, nearest first.
    ///
    /// The first `copies` (or all, when there are fewer) are the group's holders, spread over failure domains. The
    /// others follow in rendezvous order, wherever they stand: to replace a holder and keep the spread, ask
    /// `ranking(of:copies:avoiding:)`.
    public func ranking(of group: PlacementGroup, copies: Int) -> [StorageMember] {
        ranking(of: group, copies: copies, avoiding: [])
    }

    /// As `ranking(of:copies:)`, with the members in `avoided` put last.
    ///
    /// The first `copies` are then the best spread of the members that are left: the group's holders, with each avoided
    /// one replaced.
    public func ranking(of group: PlacementGroup, copies: Int, avoiding avoided: Set<NodeID>) -> [StorageMember] {
        let ordered = rendezvousOrder(of: group)
        guard avoided.isEmpty else {
            let usable = ordered.filter { !avoided.contains(members[$0].id) }
            let rest = ordered.filter { avoided.contains(members[$0].id) }
            return (spread(usable, copies: copies) + rest).map { members[$0] }
        }
        return spread(ordered, copies: copies).map { members[$0] }
    }

    /// The ids of the members that should hold `group`.
    public func holders(of group: PlacementGroup, copies: Int) -> [NodeID] {
        spread(rendezvousOrder(of: group), copies: copies).prefix(max(0, copies)).map { members[$0].id }
    }

    /// Positions in `members` of those that own groups, nearest to `group` first.
    private func rendezvousOrder(of group: PlacementGroup) -> [Int] {
        var scored: [(position: Int, score: RendezvousScore)] = []
        scored.reserveCapacity(members.count)
        for (position, member) in members.enumerated() where member.ownsGroups {
            scored.append((position, RendezvousScore(group: group, node: member.id, weight: member.weight)))
        }
        scored.sort { left, right in
            if left.score.isNearer(than: right.score) { return true }
            if right.score.isNearer(than: left.score) { return false }
            // Members are sorted by id, so equal scores fall back to that.
            return left.position < right.position
        }
        return scored.map(\.position)
    }

    /// Moves the `copies` best-spread positions to the front, in the order they are chosen.
    private func spread(_ ordered: [Int], copies: Int) -> [Int] {
        var remaining = ordered
        var chosen: [Int] = []
        while chosen.count < copies, !remaining.isEmpty {
            var best = 0
            var bestCrowding = crowding(around: remaining[0], chosen)
            for index in remaining.indices.dropFirst() {
                if bestCrowding == Crowding() { break }
                let candidate = crowding(around: remaining[index], chosen)
                if candidate < bestCrowding {
                    best = index
                    bestCrowding = candidate
                }
            }
            chosen.append(remaining.remove(at: best))
        }
        return chosen + remaining
    }

    /// How many of `chosen` share each failure domain of the member at `position`.
    private func crowding(around position: Int, _ chosen: [Int]) -> Crowding {
        let domain = members[position].domain
        var crowding = Crowding()
        for other in chosen {
            let taken = members[other].domain
            guard taken.site == domain.site else { continue }
            crowding.site += 1
            guard taken.rack == domain.rack else { continue }
            crowding.rack += 1
            if taken.host == domain.host { crowding.host += 1 }
        }
        return crowding
    }

    /// Copies already in a candidate's domains.
    ///
    /// A second copy on one host is worth least of all; then the widest domain counts first.
    private struct Crowding: Comparable {
        var site = 0
        var rack = 0
        var host = 0

        static func < (left: Self, right: Self) -> Bool {
            (left.host, left.site, left.rack) < (right.host, right.site, right.rack)
        }
    }
}
