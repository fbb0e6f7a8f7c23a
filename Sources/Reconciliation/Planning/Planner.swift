// SPDX-License-Identifier: Apache-2.0

public import Placement

/// Compares where copies are with where they are wanted, and says the next step for each set that differs.
///
/// Pure; the coordinator's reconciler carries the steps out and asks again. Rules: a copy is added before another is
/// dropped; what is merely away is waited for, unless only one living copy is left; what moves only because another node should
/// have it waits until that node has been up for a while; nothing is dropped before all wanted copies are on nodes that have,
/// and never on a node that is not up.
public struct Planner: Sendable {
    let map: PlacementMap
    let copies: Int
    let conditions: [NodeID: NodeCondition]
    /// Members that copies cannot be put on now.
    private let closed: Set<NodeID>

    /// Plans for `map`, which wants so many copies, as the nodes are now; nodes without a condition count as lost.
    public init(map: PlacementMap, copies: Int, nodes: [NodeCondition]) {
        self.map = map
        self.copies = max(1, copies)
        self.conditions = Dictionary(nodes.map { ($0.node, $0) }) { first, _ in first }
        var closed: Set<NodeID> = []
        for member in map.members where !(conditions[member.id]?.isTarget ?? false) { closed.insert(member.id) }
        self.closed = closed
    }

    /// The differences of all sets, the most urgent first.
    public func plan(_ sets: [ActualSet]) -> [Difference] {
        // Sets of one group share what is wanted.
        var wanted: [PlacementGroup: [NodeID]] = [:]
        let differences = sets.compactMap { set in
            let holders = wanted[set.group] ?? map.holders(of: set.group, copies: copies)
            wanted[set.group] = holders
            return difference(of: set, wanted: holders)
        }
        return differences.sorted { $0.isMoreUrgent(than: $1) }
    }

    /// How a set differs; nil when its copies are where they are wanted, and no others.
    public func difference(of set: ActualSet) -> Difference? {
        difference(of: set, wanted: map.holders(of: set.group, copies: copies))
    }

    /// Whether a set has all the copies that are wanted without the one on `node`: on distinct hosts, of nodes that answer and
    /// stay.
    public func isSafe(_ set: ActualSet, without node: NodeID) -> Bool {
        let rest = set.nodes.filter { other in
            guard other != node, let condition = conditions[other] else { return false }
            // One that has been silent for some seconds may be gone for good.
            return condition.standing.health == .up && condition.standing.service == .inService
        }
        return Set(rest.compactMap { map[$0]?.domain }).count >= copies
    }

    /// The nodes whose copies are enough without the one on `node`, which is surplus: all that the map wants, in service and up,
    /// on as many hosts as copies are wanted; nil when that copy is to stay.
    public func keepers(of set: ActualSet, without node: NodeID) -> [NodeID]? {
        guard case .drop(let surplus) = difference(of: set)?.step, surplus.contains(node) else { return nil }
        let keepers = map.holders(of: set.group, copies: copies).filter { wanted in
            guard wanted != node, set.nodes.contains(wanted), let standing = conditions[wanted]?.standing else {
                return false
            }
            return standing.health == .up && standing.service == .inService
        }
        return Set(keepers.compactMap { map[$0]?.domain }).count >= copies ? keepers : nil
    }

    func difference(of set: ActualSet, wanted: [NodeID]) -> Difference? {
        let counted = set.nodes.filter { conditions[$0]?.standing.isCounted ?? false }
        let living = counted.filter { conditions[$0]?.standing.isLiving ?? false }
        let missing = wanted.filter { !counted.contains($0) }
        let isShort = counted.count < wanted.count
        let isAlone = living.count == 1 && copies > 1
        func answer(_ kind: Difference.Kind, _ step: Difference.Step) -> Difference {
            Difference(
                set: set,
                kind: kind,
                step: step,
                livingCount: living.count,
                countedCount: counted.count,
                isUnderReplicated: living.count < copies
            )
        }
        if missing.isEmpty && living.count >= min(2, copies) {
            return surplus(of: counted, wanted).map { answer(.surplus, $0) }
        }
        let isLacking = isShort || isAlone || living.isEmpty
        let kind = kind(set, isLacking)
        let sources = sources(of: set)
        guard !sources.isEmpty else {
            // What is in maintenance comes back.
            if missing.isEmpty && !living.isEmpty { return nil }
            return answer(kind, .wait(.noSource))
        }
        // The wanted nodes first; another stands in for one that is away only where one copy is left, and for one that is
        // full where a copy is lacking.
        let open = missing.filter { !closed.contains($0) }
        // One that comes and goes must not move data each time.
        if let target = open.first(where: { isLacking || isSteady($0) }) {
            return answer(kind, .copy(target: target, sources: sources))
        }
        guard open.isEmpty else { return answer(kind, .wait(.targetUnsteady)) }
        let isFull = missing.contains { conditions[$0]?.standing.health == .up }
        guard isAlone || (isShort && isFull) else {
            return answer(kind, .wait(isFull ? .noTarget : .targetAway))
        }
        guard let target = standIn(for: set.group, besides: counted) else { return answer(kind, .wait(.noTarget)) }
        return answer(kind, .copy(target: target, sources: sources))
    }

    private func kind(_ set: ActualSet, _ isLacking: Bool) -> Difference.Kind {
        if isLacking { return .repair }
        let isDrained = set.nodes.contains { conditions[$0]?.standing.service == .draining }
        return isDrained ? .drain : .rebalance
    }

    /// The nodes to fetch from: those that are up first, then by id.
    private func sources(of set: ActualSet) -> [NodeID] {
        let answering = set.nodes.filter { conditions[$0]?.isSource ?? false }
        return answering.filter { conditions[$0]?.standing.health == .up }
            + answering.filter { conditions[$0]?.standing.health != .up }
    }

    private func isSteady(_ node: NodeID) -> Bool { conditions[node]?.isSteady ?? false }

    /// What becomes of copies on nodes that are up, when all wanted ones are up; nil when none is surplus.
    private func surplus(of counted: [NodeID], _ wanted: [NodeID]) -> Difference.Step? {
        guard wanted.count >= copies, wanted.allSatisfy({ conditions[$0]?.standing.health == .up }) else { return nil }
        let surplus = counted.filter { !wanted.contains($0) && conditions[$0]?.standing.health == .up }
        guard !surplus.isEmpty else { return nil }
        // What would have to be copied again if one of those that came not long ago went again.
        return wanted.allSatisfy(isSteady) ? .drop(surplus) : .wait(.targetUnsteady)
    }

    /// The best spread of the nodes that take copies, without those that have one.
    private func standIn(for group: PlacementGroup, besides holders: [NodeID]) -> NodeID? {
        let ranking = map.ranking(of: group, copies: copies, avoiding: closed)
        // Members in no state to own groups are not ranked; closed ones are ranked last.
        return ranking.map(\.id).first { !closed.contains($0) && !holders.contains($0) }
    }
}
