// SPDX-License-Identifier: Apache-2.0

public import Placement

/// What would be copied and dropped because of a change of the placement map, from what the planner would have done with it
/// and without it.
///
/// Pure. How much it is is known once the instances of its moves have been counted: of all of them, or of some, and then the
/// amounts are an estimate.
public struct MovementForecast: Sendable {
    /// A set of instances whose copies move.
    public struct Move: Hashable, Sendable {
        public let set: ActualSet
        /// Nodes that get a copy because of the change.
        public let gaining: [NodeID]
        /// Nodes whose copies become surplus because of it.
        public let losing: [NodeID]
        /// Nodes that get a copy with the change and without it.
        public let arriving: [NodeID]
    }

    /// Copies and their bytes.
    public struct Amount: Hashable, Sendable {
        public var copyCount = 0
        public var byteCount: Int64 = 0

        public init(copyCount: Int = 0, byteCount: Int64 = 0) {
            self.copyCount = copyCount
            self.byteCount = byteCount
        }
    }

    /// The sets that move, by group and placement.
    ///
    /// The number of a group is a hash, so the first of them are as good a sample as any.
    public let moves: [Move]
    /// Groups that have other holders in the map afterwards, those without instances included.
    public let reassignedGroupCount: Int
    /// Groups that have instances and cannot have as many copies as wanted on distinct hosts afterwards.
    public let shortGroupCount: Int
    /// Groups of which copies wait for something that is away or full.
    public let waitingGroupCount: Int
    /// What has been counted of the moves, by their place.
    private var counts: [Int: Amount] = [:]

    /// Compares what would become of `sets` by the one planner and by the other.
    public init(of sets: [ActualSet], from before: Planner, to after: Planner) {
        let sets = sets.sorted { ($0.group.rawValue, $0.placement) < ($1.group.rawValue, $1.placement) }
        let old = before.outcomes(of: sets)
        let new = after.outcomes(of: sets)
        var moves: [Move] = []
        var short: Set<PlacementGroup> = []
        var waiting: Set<PlacementGroup> = []
        for (index, set) in sets.enumerated() {
            let (old, new) = (old[index], new[index])
            if !new.isSpread { short.insert(set.group) }
            if new.obstacle != nil { waiting.insert(set.group) }
            let move = Move(
                set: set,
                gaining: new.gaining.filter { !old.gaining.contains($0) },
                losing: new.losing.filter { !old.losing.contains($0) },
                arriving: new.gaining.filter { old.gaining.contains($0) }
            )
            if move.gaining.isEmpty && move.losing.isEmpty && move.arriving.isEmpty { continue }
            moves.append(move)
        }
        self.moves = moves
        self.reassignedGroupCount =
            PlacementMovement(from: before.map, to: after.map, copies: after.copies).changes.count
        self.shortGroupCount = short.count
        self.waitingGroupCount = waiting.count
    }

    /// The groups of which copies are made because of the change.
    public var movedGroupCount: Int { Set(moves.filter { !$0.gaining.isEmpty }.map(\.set.group)).count }

    // MARK: How much

    /// Notes what the set at a place of `moves` has: its instances, and the bytes of one copy of each.
    public mutating func count(_ amount: Amount, at index: Int) { counts[index] = amount }

    /// Sets that have been counted.
    public var countedCount: Int { counts.count }

    /// Whether some have not: the amounts are then made of those that have.
    public var isEstimate: Bool { counts.count < moves.count }

    /// The copies that are made because of the change.
    public var moved: Amount { sum { $0.gaining.count } }

    /// The copies that a node gets because of it.
    public func gained(by node: NodeID) -> Amount { sum { $0.gaining.contains(node) ? 1 : 0 } }

    /// The copies on a node that become surplus because of it.
    public func lost(by node: NodeID) -> Amount { sum { $0.losing.contains(node) ? 1 : 0 } }

    /// The copies that a node gets anyhow.
    public func arriving(at node: NodeID) -> Amount { sum { $0.arriving.contains(node) ? 1 : 0 } }

    private func sum(_ copies: (Move) -> Int) -> Amount {
        var sum = Amount()
        for (index, amount) in counts {
            let count = copies(moves[index])
            sum.copyCount += amount.copyCount * count
            sum.byteCount += amount.byteCount * Int64(count)
        }
        guard isEstimate, !counts.isEmpty else { return sum }
        let factor = Double(moves.count) / Double(counts.count)
        sum.copyCount = Int((Double(sum.copyCount) * factor).rounded())
        sum.byteCount = Int64((Double(sum.byteCount) * factor).rounded())
        return sum
    }
}
