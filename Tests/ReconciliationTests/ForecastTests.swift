// SPDX-License-Identifier: Apache-2.0

import Placement
import Reconciliation
import Testing

/// What an order would move, compared with what the steps of the planner then do.
@Suite struct ForecastTests {
    /// The steps that the planner says, one after another, until none is left: copies made and dropped, by node.
    private func carryOut(
        _ cluster: SampleCluster,
        _ sets: [ActualSet]
    ) -> (made: [NodeID: Int], dropped: [NodeID: Int]) {
        var made: [NodeID: Int] = [:]
        var dropped: [NodeID: Int] = [:]
        let planner = cluster.planner
        for set in sets {
            var set = set
            while let difference = planner.difference(of: set) {
                if case .copy(let target, _) = difference.step {
                    made[target, default: 0] += set.instanceCount
                    set.nodes.append(target)
                } else if case .drop(let nodes) = difference.step {
                    for node in nodes { dropped[node, default: 0] += set.instanceCount }
                    set.nodes.removeAll { nodes.contains($0) }
                } else {
                    break
                }
            }
        }
        return (made, dropped)
    }

    private func counted(_ forecast: MovementForecast, every step: Int = 1) -> MovementForecast {
        var forecast = forecast
        for index in stride(from: 0, to: forecast.moves.count, by: step) {
            let set = forecast.moves[index].set
            forecast.count(.init(copyCount: set.instanceCount, byteCount: set.byteCount), at: index)
        }
        return forecast
    }

    /// Every group at home, with some instances.
    private func sets(_ cluster: SampleCluster) -> [ActualSet] {
        cluster.homes.map { set in
            var set = set
            set.instanceCount = 1 + Int(set.group.rawValue) % 7
            set.byteCount = Int64(set.instanceCount) * 1000
            return set
        }
    }

    @Test(arguments: [(3, 2), (4, 2), (5, 3), (9, 3)], [NodeService.draining, .removed])
    func `what is said of a node that leaves is what then moves`(size: (Int, Int), service: NodeService) {
        let cluster = SampleCluster(nodes: size.0, copies: size.1)
        let sets = sets(cluster)
        var later = cluster
        later.set(.sample(2), .up, service)
        let forecast = counted(MovementForecast(of: sets, from: cluster.planner, to: later.planner))
        let (made, dropped) = carryOut(later, sets)
        #expect(!forecast.isEstimate && forecast.shortGroupCount == 0 && forecast.waitingGroupCount == 0)
        #expect(forecast.moved.copyCount == made.values.reduce(0, +) && forecast.moved.copyCount > 0)
        #expect(forecast.moved.byteCount == Int64(forecast.moved.copyCount) * 1000)
        for member in cluster.members {
            #expect(forecast.gained(by: member.id).copyCount == made[member.id] ?? 0)
            #expect(forecast.lost(by: member.id).copyCount == dropped[member.id] ?? 0)
            #expect(forecast.arriving(at: member.id).copyCount == 0)
        }
        let had = sets.count { $0.nodes.contains(.sample(2)) }
        #expect(forecast.movedGroupCount == had && forecast.reassignedGroupCount == had)
    }

    @Test func `what is being copied anyhow is not counted as moved by the order`() {
        var cluster = SampleCluster(nodes: 5, copies: 3)
        let sets = sets(cluster)
        cluster.set(.sample(1), .out)
        var later = cluster
        later.set(.sample(2), .up, .draining)
        let forecast = counted(MovementForecast(of: sets, from: cluster.planner, to: later.planner))
        let before = carryOut(cluster, sets).made.values.reduce(0, +)
        let after = carryOut(later, sets).made.values.reduce(0, +)
        let arriving = cluster.members.reduce(0) { $0 + forecast.arriving(at: $1.id).copyCount }
        #expect(before > 0 && arriving > 0 && arriving <= before)
        #expect(forecast.moved.copyCount + arriving == after)
    }

    @Test func `a part that is counted gives an estimate of all`() {
        let cluster = SampleCluster(nodes: 4, copies: 2)
        let sets = sets(cluster)
        var later = cluster
        later.set(.sample(2), .up, .draining)
        let all = MovementForecast(of: sets, from: cluster.planner, to: later.planner)
        let (exact, estimate) = (counted(all), counted(all, every: 5))
        #expect(!exact.isEstimate && estimate.isEstimate)
        #expect(estimate.countedCount == (all.moves.count + 4) / 5)
        let ratio = Double(estimate.moved.copyCount) / Double(exact.moved.copyCount)
        #expect((0.85...1.15).contains(ratio), "\(ratio)")
        #expect(all.moved.copyCount == 0 && all.isEstimate, "nothing is known before anything has been counted")
    }

    @Test func `it is said when copies cannot be on distinct hosts, and when they would wait`() {
        var cluster = SampleCluster(nodes: 3, copies: 3)
        let sets = sets(cluster)
        var later = cluster
        later.set(.sample(2), .up, .draining)
        let few = MovementForecast(of: sets, from: cluster.planner, to: later.planner)
        #expect(few.shortGroupCount == PlacementGroup.count && few.moves.isEmpty)
        cluster.join(4)
        cluster.set(.sample(4), .up, acceptsWrites: false)
        later = cluster
        later.set(.sample(2), .up, .draining)
        let full = MovementForecast(of: sets, from: cluster.planner, to: later.planner)
        #expect(full.waitingGroupCount > 0 && full.shortGroupCount == full.waitingGroupCount)
    }

    @Test func `a node that is taken back gets nothing that it still has`() {
        var cluster = SampleCluster(nodes: 4, copies: 2)
        let sets = sets(cluster)
        let later = cluster
        cluster.set(.sample(2), .up, .draining)
        let forecast = counted(MovementForecast(of: sets, from: cluster.planner, to: later.planner))
        #expect(forecast.moved.copyCount == 0 && forecast.movedGroupCount == 0)
        #expect(forecast.reassignedGroupCount == sets.count { $0.nodes.contains(.sample(2)) })
    }
}
