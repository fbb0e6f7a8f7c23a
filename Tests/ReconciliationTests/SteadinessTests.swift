// SPDX-License-Identifier: Apache-2.0

import Placement
import Reconciliation
import Testing

/// A node that comes and goes must not have copies moved each time.
@Suite struct SteadinessTests {
    /// A cluster that is watched each second and whose copies are moved as the planner says.
    private struct Scene {
        var membership: Membership
        var cluster: SampleCluster
        var sets: [ActualSet]
        var now = Duration.seconds(100)
        var silent: Set<NodeID> = []
        var made = 0
        var dropped = 0
        private var last: [NodeCondition] = []

        init(nodes: Int, copies: Int, limits: MembershipLimits = MembershipLimits()) {
            cluster = SampleCluster(nodes: nodes, copies: copies)
            membership = Membership(limits: limits, at: now)
            sets = cluster.homes
        }

        mutating func run(seconds: Int) {
            for _ in 0..<seconds {
                now += .seconds(1)
                for member in cluster.members where !silent.contains(member.id) {
                    _ = membership.answered(member.id, at: now)
                }
                _ = membership.judge(at: now)
                let conditions = membership.nodes.map { node in
                    NodeCondition(
                        node: node,
                        standing: membership.standing(of: node) ?? NodeStanding(health: .suspect),
                        isSteady: membership.isSteady(node)
                    )
                }
                guard conditions != last else { continue }
                last = conditions
                for condition in conditions { cluster.conditions[condition.node] = condition }
                settle()
            }
        }

        /// All steps that can be taken now.
        private mutating func settle() {
            let planner = cluster.planner
            for index in sets.indices {
                steps: while let difference = planner.difference(of: sets[index]) {
                    switch difference.step {
                    case .copy(let target, _):
                        sets[index].nodes = (sets[index].nodes + [target]).sorted()
                        made += 1
                    case .drop(let nodes):
                        sets[index].nodes.removeAll { nodes.contains($0) }
                        dropped += nodes.count
                    case .wait: break steps
                    }
                }
            }
        }

        func held(by number: Int) -> Int { sets.count { $0.nodes.contains(.sample(number)) } }
    }

    @Test func `a node that is out and back again and again is copied once`() {
        var scene = Scene(nodes: 5, copies: 3)
        scene.run(seconds: 400)
        let had = scene.held(by: 2)
        for _ in 0..<4 {
            scene.silent = [.sample(2)]
            scene.run(seconds: 1000)
            #expect(scene.membership.standing(of: .sample(2))?.health == .out)
            scene.silent = []
            scene.run(seconds: 290)
            #expect(scene.membership.standing(of: .sample(2))?.health == .up)
        }
        #expect(scene.made == had && scene.dropped == 0)
        // When it stays, what stood in for it goes.
        scene.run(seconds: 20)
        #expect(scene.made == had && scene.dropped == had && scene.held(by: 2) == had)
    }

    @Test func `a node whose going leaves one copy is copied once, however often it goes`() {
        var scene = Scene(nodes: 4, copies: 2)
        scene.run(seconds: 400)
        let had = scene.held(by: 2)
        for _ in 0..<20 {
            scene.silent = [.sample(2)]
            scene.run(seconds: 40)
            #expect(scene.membership.standing(of: .sample(2))?.health == .down)
            scene.silent = []
            scene.run(seconds: 100)
        }
        #expect(scene.made == had && scene.dropped == 0)
        scene.run(seconds: 300)
        #expect(scene.made == had && scene.dropped == had)
    }

    @Test func `a node that joins gets its share when it has been there for five minutes`() {
        var scene = Scene(nodes: 4, copies: 2)
        scene.run(seconds: 400)
        scene.cluster.join(5)
        scene.run(seconds: 299)
        #expect(scene.held(by: 5) == 0)
        scene.run(seconds: 2)
        #expect(scene.held(by: 5) > 0 && scene.made == scene.held(by: 5))
        #expect(scene.dropped == scene.made)
    }

    @Test func `short silences do not count`() {
        var scene = Scene(nodes: 4, copies: 2)
        for _ in 0..<20 {
            scene.run(seconds: 20)
            scene.silent = [.sample(2)]
            scene.run(seconds: 10)
            #expect(!scene.membership.isSteady(.sample(2)), "suspect is not up")
            scene.silent = []
        }
        scene.run(seconds: 1)
        #expect(scene.membership.isSteady(.sample(2)) && scene.made == 0)
    }

    @Test func `whoever takes over knows how long a node has been up`() {
        var scene = Scene(nodes: 3, copies: 2)
        scene.membership.expect(.sample(1), service: .inService, health: .up, for: .seconds(500), at: scene.now)
        scene.membership.expect(.sample(2), service: .inService, health: .up, for: .seconds(200), at: scene.now)
        scene.membership.expect(.sample(3), service: .inService, health: .down, for: .seconds(500), at: scene.now)
        scene.run(seconds: 1)
        #expect(scene.membership.isSteady(.sample(1)))
        #expect(!scene.membership.isSteady(.sample(2)) && !scene.membership.isSteady(.sample(3)))
        scene.run(seconds: 99)
        #expect(scene.membership.isSteady(.sample(2)) && !scene.membership.isSteady(.sample(3)))
        scene.run(seconds: 201)
        #expect(scene.membership.isSteady(.sample(3)))
    }

    @Test func `what lacks copies goes to a node at once, what only moves waits`() {
        var cluster = SampleCluster(nodes: 4, copies: 2)
        let group = PlacementGroup(studyInstanceUID: "1.2.3")
        let wanted = cluster.map.holders(of: group, copies: 2)
        let other = cluster.members.map(\.id).first { !wanted.contains($0) } ?? wanted[0]
        cluster.conditions[wanted[1]]?.isSteady = false
        var set = ActualSet(placement: 1, group: group, nodes: [wanted[0]])
        #expect(cluster.planner.difference(of: set)?.target == wanted[1])
        set.nodes = [wanted[0], other].sorted()
        #expect(cluster.planner.difference(of: set)?.step == .wait(.targetUnsteady))
        // Drained, too: its copy counts as long as it is there.
        cluster.set(other, .up, .draining)
        #expect(cluster.planner.difference(of: set)?.step == .wait(.targetUnsteady))
        // With a copy on every wanted node nothing is dropped yet.
        set.nodes = (wanted + [other]).sorted()
        #expect(cluster.planner.difference(of: set)?.step == .wait(.targetUnsteady))
        #expect(cluster.planner.difference(of: set)?.kind == .surplus)
        cluster.conditions[wanted[1]]?.isSteady = true
        #expect(cluster.planner.difference(of: set)?.step == .drop([other]))
    }
}
