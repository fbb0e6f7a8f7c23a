// SPDX-License-Identifier: Apache-2.0

import Placement
import Reconciliation
import Testing

/// Applies steps to a model of a cluster.
@Suite struct ConvergenceTests {
    /// Every group's set, and who really has a copy of it.
    private struct Model {
        var cluster: SampleCluster
        var sets: [ActualSet]
        var movedCount = 0

        init(nodes: Int, copies: Int) {
            cluster = SampleCluster(nodes: nodes, copies: copies)
            sets = cluster.homes
        }

        /// Does one step of each set that has one; false when nothing was to be done.
        mutating func round() -> Bool {
            let planner = cluster.planner
            var isBusy = false
            for difference in planner.plan(sets) {
                guard let index = sets.firstIndex(where: { $0.group == difference.set.group }) else { continue }
                let before = cluster.living(sets[index])
                switch difference.step {
                case .copy(let target, let sources):
                    #expect(
                        !sets[index].nodes.contains(target) || cluster.conditions[target]?.standing.isCounted == false
                    )
                    let standing = cluster.conditions[target]?.standing
                    #expect(standing?.health == .up && standing?.service == .inService)
                    #expect(!sources.isEmpty && sources.allSatisfy { sets[index].nodes.contains($0) })
                    sets[index].nodes = (sets[index].nodes + [target]).sorted()
                    movedCount += 1
                    isBusy = true
                case .drop(let nodes):
                    for node in nodes { #expect(cluster.conditions[node]?.standing.health == .up) }
                    sets[index].nodes.removeAll { nodes.contains($0) }
                    isBusy = true
                case .wait:
                    continue
                }
                #expect(cluster.living(sets[index]) >= min(before, cluster.copies))
            }
            return isBusy
        }

        /// Rounds until nothing is left to do; more than a set can need is a loop.
        mutating func settle() {
            var rounds = 0
            while round() {
                rounds += 1
                if rounds > 12 {
                    Issue.record("the steps do not come to an end")
                    return
                }
            }
        }

        /// Whether each set is where it is wanted: lost and removed copies aside, nowhere else.
        func expectHome() {
            let map = cluster.map
            for set in sets {
                let counted = set.nodes.filter { cluster.conditions[$0]?.standing.isCounted ?? false }
                #expect(counted == map.holders(of: set.group, copies: cluster.copies).sorted())
            }
        }
    }

    @Test(arguments: [(3, 2), (4, 2), (5, 3), (9, 3), (20, 2)])
    func `a node that joins gets its share and nothing else moves`(nodes: Int, copies: Int) {
        var model = Model(nodes: nodes, copies: copies)
        let before = model.cluster.map
        model.cluster.join(nodes + 1)
        let least = PlacementMovement(from: before, to: model.cluster.map, copies: copies)
        model.settle()
        model.expectHome()
        #expect(model.movedCount == least.movedCopyCount)
        #expect(least.groups(gainedBy: .sample(nodes + 1)).count == model.movedCount)
        // The share of a newcomer is 1/(n + 1) of all copies, as near as the hash of a thousand groups comes to it.
        let share = Double(PlacementGroup.count * copies) / Double(nodes + 1)
        #expect(Double(model.movedCount) <= share * 1.1 + 2 * share.squareRoot())
    }

    @Test(arguments: [(4, 2), (5, 3), (9, 3), (20, 2)], [NodeService.draining, .removed, .inService])
    func `of a node that leaves only what it had moves`(size: (nodes: Int, copies: Int), service: NodeService) {
        var model = Model(nodes: size.nodes, copies: size.copies)
        let had = model.sets.count { $0.nodes.contains(.sample(2)) }
        // Drained, removed, or lost.
        model.cluster.set(.sample(2), service == .inService ? .out : .up, service)
        model.settle()
        model.expectHome()
        #expect(model.movedCount == had)
        if service == .draining {
            let planner = model.cluster.planner
            #expect(model.sets.allSatisfy { planner.isSafe($0, without: .sample(2)) })
        }
    }

    @Test func `a node that is lost and comes back makes work once only`() {
        var model = Model(nodes: 5, copies: 3)
        let homes = model.sets
        model.cluster.set(.sample(1), .out)
        model.settle()
        let moved = model.movedCount
        model.cluster.set(.sample(1), .up)
        model.settle()
        #expect(model.movedCount == moved, "its copies count again")
        #expect(model.sets == homes, "what stood in for them is surplus")
    }

    @Test func `whatever happens, steps converge and no copy is dropped too early`() {
        var generator = SeededGenerator.fromEnvironment()
        for _ in 0..<40 {
            let copies = Int.random(in: 1...4, using: &generator)
            var model = Model(nodes: Int.random(in: copies + 2...9, using: &generator), copies: copies)
            for _ in 0..<12 {
                happen(&model, &generator)
                for _ in 0..<Int.random(in: 0...2, using: &generator) { _ = model.round() }
            }
            // Then all that is still there answers and has room again.
            for member in model.cluster.members {
                guard let condition = model.cluster.conditions[member.id] else { continue }
                guard condition.standing.service != .removed, condition.standing.health != .out else { continue }
                model.cluster.set(member.id, .up, condition.standing.service)
            }
            model.settle()
            let able = model.cluster.members.count { model.cluster.conditions[$0.id]?.standing.state == .up }
            let planner = model.cluster.planner
            let left = planner.plan(model.sets)
            // What is left waits for a source that is gone for good.
            #expect(left.allSatisfy { $0.step == .wait(.noSource) || able < copies })
            guard able >= copies else { continue }
            let map = model.cluster.map
            for set in model.sets where !left.contains(where: { $0.set.group == set.group }) {
                let counted = set.nodes.filter { model.cluster.conditions[$0]?.standing.isCounted ?? false }
                #expect(counted == map.holders(of: set.group, copies: copies).sorted())
            }
        }
    }

    /// Something happens to a node.
    private func happen(_ model: inout Model, _ generator: inout SeededGenerator) {
        let member = model.cluster.members.randomElement(using: &generator)
        guard let node = member?.id, let condition = model.cluster.conditions[node] else { return }
        let service = condition.standing.service
        switch Int.random(in: 0..<9, using: &generator) {
        case 0: model.cluster.set(node, .suspect, service)
        case 1: model.cluster.set(node, .down, service)
        case 2: model.cluster.set(node, .out, service)
        case 3, 4: model.cluster.set(node, .up, service == .removed ? .removed : .inService)
        case 5: model.cluster.set(node, condition.standing.health, service == .removed ? .removed : .draining)
        case 6:
            model.cluster.set(node, condition.standing.health, service, acceptsWrites: Bool.random(using: &generator))
        case 7:
            let planner = model.cluster.planner
            // As operators are held to.
            guard service == .draining, model.sets.allSatisfy({ planner.isSafe($0, without: node) }) else { return }
            model.cluster.set(node, condition.standing.health, .removed)
        default:
            if model.cluster.members.count < 12 { model.cluster.join(model.cluster.members.count + 1) }
        }
    }
}
