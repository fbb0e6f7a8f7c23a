// SPDX-License-Identifier: Apache-2.0

public import Placement

/// Makes the weights of the placement map from what storage nodes say of their capacity.
///
/// Pure; a leader has one for its term. Weights in force stay as they are until the shares that follow from what the nodes say
/// are far enough from them, for long enough, and all nodes that own groups have spoken; then all change at once. What is in
/// force is in the map, so a leader that takes over needs to know nothing else.
/// docs/decisions/0053-weights-by-capacity.md
public struct CapacityWeights: Sendable {
    /// What a node gets that does not say its capacity, when no other has a weight.
    public static let unknown: UInt32 = 100

    /// What a node says, and since when it has said about that.
    private struct Claim {
        /// What it said first, and says now: about the same.
        let first: UInt32
        var weight: UInt32
        let since: Duration
    }

    private let limits: MembershipLimits
    private var claims: [NodeID: Claim] = [:]

    public init(limits: MembershipLimits = MembershipLimits()) {
        self.limits = limits
    }

    /// A node says its weight: its capacity in GiB, or what it is told to say; `now` is a reading of a clock that only goes
    /// forward.
    public mutating func told(_ node: NodeID, _ weight: UInt32, at now: Duration) {
        guard let claim = claims[node], isAbout(claim.first, weight) else {
            claims[node] = Claim(first: weight, weight: weight, since: now)
            return
        }
        // The time goes on.
        claims[node]?.weight = weight
    }

    /// The weight of each member, by the map in force; of one that is not in it, one that fits to the others.
    public func weights(of members: [StorageMember], inForce map: PlacementMap, at now: Duration) -> [NodeID: UInt32] {
        let known = provisional(members, map)
        let owners = members.filter { $0.state.ownsGroups }
        guard let next = settled(owners, map, at: now), differs(known, next, owners) else { return known }
        // Those that own nothing now, and have not spoken, keep their proportion to the others.
        let scale = sum(next, owners) / max(1, sum(known, owners))
        return weigh(members) { member in
            if let weight = next[member.id] ?? claims[member.id]?.weight { return weight }
            let weight = known[member.id] ?? 0
            return weight == 0 ? 0 : Self.weight(Double(weight) * scale)
        }
    }

    /// The weights in force, and for members that have none yet one in proportion to those of the members that have said what
    /// they are.
    private func provisional(_ members: [StorageMember], _ map: PlacementMap) -> [NodeID: UInt32] {
        if map.members.isEmpty {
            let isKnown = members.allSatisfy { claims[$0.id] != nil }
            return weigh(members) { isKnown ? claims[$0.id]?.weight ?? Self.unknown : Self.unknown }
        }
        let old = members.compactMap { map[$0.id] }.filter { $0.weight > 0 }
        let spoken = old.filter { (claims[$0.id]?.weight ?? 0) > 0 }
        let inForce = spoken.reduce(0.0) { $0 + Double($1.weight) }
        let claimed = spoken.reduce(0.0) { $0 + Double(claims[$1.id]?.weight ?? 0) }
        let mean = old.isEmpty ? Double(Self.unknown) : old.reduce(0.0) { $0 + Double($1.weight) } / Double(old.count)
        return weigh(members) { member in
            if let member = map[member.id] { return member.weight }
            guard let claim = claims[member.id] else { return Self.weight(mean) }
            if claim.weight == 0 { return 0 }
            // Where no other has said what its weight stands for, this one gets as much as they have.
            return Self.weight(claimed > 0 ? Double(claim.weight) * inForce / claimed : mean)
        }
    }

    private func weigh(_ members: [StorageMember], _ weight: (StorageMember) -> UInt32) -> [NodeID: UInt32] {
        Dictionary(members.map { ($0.id, weight($0)) }) { first, _ in first }
    }

    /// What all owners have said for long enough; nil while one has not.
    private func settled(_ owners: [StorageMember], _ map: PlacementMap, at now: Duration) -> [NodeID: UInt32]? {
        var weights: [NodeID: UInt32] = [:]
        for owner in owners {
            guard let claim = claims[owner.id] else { return nil }
            // One that comes new has nothing that could move to and fro.
            guard map[owner.id] == nil || now - claim.since >= limits.weightsSettleAfter else { return nil }
            weights[owner.id] = claim.weight
        }
        return sum(weights, owners) > 0 ? weights : nil
    }

    /// Whether any owner's share becomes another by more than the hysteresis.
    private func differs(_ old: [NodeID: UInt32], _ new: [NodeID: UInt32], _ owners: [StorageMember]) -> Bool {
        let oldSum = sum(old, owners)
        let newSum = sum(new, owners)
        guard oldSum > 0 else { return true }
        return owners.contains { owner in
            let before = Double(old[owner.id] ?? 0) / oldSum
            let after = Double(new[owner.id] ?? 0) / newSum
            return abs(after - before) * 100 > before * Double(limits.weightHysteresisPercent)
        }
    }

    private func sum(_ weights: [NodeID: UInt32], _ owners: [StorageMember]) -> Double {
        owners.reduce(0.0) { $0 + Double(weights[$1.id] ?? 0) }
    }

    private func isAbout(_ left: UInt32, _ right: UInt32) -> Bool {
        let (less, more) = (Double(min(left, right)), Double(max(left, right)))
        return less == more || (less > 0 && (more - less) * 100 <= more * Double(limits.weightJitterPercent))
    }

    /// The nearest weight that holds something.
    private static func weight(_ value: Double) -> UInt32 {
        UInt32(max(1, min(Double(UInt32.max), value.rounded())))
    }
}
