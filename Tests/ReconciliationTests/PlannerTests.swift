// SPDX-License-Identifier: Apache-2.0

import Placement
import Reconciliation
import Testing

@Suite struct PlannerTests {
    private let group = PlacementGroup(studyInstanceUID: "1.2.3")

    /// A cluster, a set that is at home in it, and its wanted nodes in order.
    private func scene(nodes: Int = 5, copies: Int = 3) -> (cluster: SampleCluster, set: ActualSet, wanted: [NodeID]) {
        let cluster = SampleCluster(nodes: nodes, copies: copies)
        let wanted = cluster.map.holders(of: group, copies: copies)
        return (cluster, ActualSet(placement: 7, group: group, nodes: wanted), wanted)
    }

    @Test func `what is where it is wanted needs nothing`() {
        let (cluster, set, _) = scene()
        #expect(cluster.planner.difference(of: set) == nil)
        #expect(cluster.planner.plan(cluster.homes).isEmpty)
    }

    @Test func `a copy that was never made is made`() {
        let (cluster, full, wanted) = scene()
        var set = full
        set.nodes = [wanted[0], wanted[2]].sorted()
        let difference = cluster.planner.difference(of: set)
        #expect(difference?.kind == .repair && difference?.target == wanted[1])
        #expect(difference?.sources == set.nodes)
        #expect(difference?.livingCount == 2 && difference?.isUnderReplicated == true)
    }

    @Test func `a node that is merely down is waited for while two copies are left`() {
        var (cluster, set, wanted) = scene()
        cluster.set(wanted[0], .down)
        #expect(cluster.planner.difference(of: set) == nil)
        // One that was never made goes to where it is wanted all the same.
        set.nodes.removeAll { $0 == wanted[1] }
        let difference = cluster.planner.difference(of: set)
        #expect(difference?.target == wanted[1] && difference?.livingCount == 1)
        // But not to a node that is down itself.
        set.nodes = [wanted[1], wanted[2]]
        #expect(cluster.planner.difference(of: set)?.step == .wait(.targetAway))
    }

    @Test func `what has one living copy left is copied at once to a node that stands in`() {
        var (cluster, set, wanted) = scene(copies: 2)
        cluster.set(wanted[0], .suspect)
        #expect(cluster.planner.difference(of: set) == nil)
        cluster.set(wanted[0], .down)
        let difference = cluster.planner.difference(of: set)
        let standIn = cluster.map.ranking(of: group, copies: 2, avoiding: [wanted[0]])[1].id
        #expect(difference?.kind == .repair && difference?.target == standIn && difference?.livingCount == 1)
        #expect(difference?.sources == [wanted[1]])
        set.nodes = (set.nodes + [standIn]).sorted()
        #expect(cluster.planner.difference(of: set) == nil)
        // When it is back there is one too many; when it is lost, the one that stood in is at home.
        cluster.set(wanted[0], .up)
        #expect(cluster.planner.difference(of: set)?.step == .drop([standIn]))
        cluster.set(wanted[0], .out)
        #expect(cluster.planner.difference(of: set) == nil)
        #expect(cluster.map.holders(of: group, copies: 2).sorted() == [wanted[1], standIn].sorted())
    }

    @Test func `two down of three leave one living copy`() {
        var (cluster, set, wanted) = scene()
        cluster.set(wanted[0], .down)
        cluster.set(wanted[1], .down)
        let difference = cluster.planner.difference(of: set)
        #expect(difference?.kind == .repair && difference?.livingCount == 1 && difference?.countedCount == 3)
        set.nodes = (set.nodes + [difference?.target ?? wanted[0]]).sorted()
        #expect(cluster.planner.difference(of: set) == nil, "two living ones are enough to wait")
    }

    @Test func `a node in maintenance is waited for, even for the second copy`() {
        var (cluster, set, wanted) = scene(copies: 2)
        cluster.set(wanted[0], .down, maintenance: true)
        #expect(cluster.planner.difference(of: set) == nil)
        cluster.set(wanted[0], .down)
        #expect(cluster.planner.difference(of: set)?.livingCount == 1)
    }

    @Test func `what a lost node had is copied to the node that takes its place`() {
        var (cluster, set, wanted) = scene()
        cluster.set(wanted[1], .out)
        let now = cluster.map.holders(of: group, copies: 3)
        let difference = cluster.planner.difference(of: set)
        #expect(difference?.target == now.first { !wanted.contains($0) })
        #expect(difference?.kind == .repair)
        set.nodes = (set.nodes + [difference?.target ?? wanted[0]]).sorted()
        #expect(cluster.planner.difference(of: set) == nil, "the lost copy stays on record, and needs nothing")
    }

    @Test func `without a copy that answers it waits, and says so`() {
        var (cluster, set, wanted) = scene(copies: 2)
        cluster.set(wanted[0], .out)
        cluster.set(wanted[1], .down)
        let difference = cluster.planner.difference(of: set)
        #expect(difference?.step == .wait(.noSource) && difference?.livingCount == 0)
        cluster.set(wanted[1], .up, .removed)
        #expect(cluster.planner.difference(of: set)?.step == .wait(.noSource), "a removed node is no source")
        set.nodes = []
        #expect(cluster.planner.difference(of: set)?.step == .wait(.noSource))
    }

    @Test func `a draining node keeps its copies until the others are there, and is a source`() {
        var (cluster, set, wanted) = scene(copies: 2)
        cluster.set(wanted[0], .up, .draining)
        let difference = cluster.planner.difference(of: set)
        #expect(difference?.kind == .drain && difference?.isUnderReplicated == false)
        #expect(difference?.sources.contains(wanted[0]) == true)
        #expect(!cluster.planner.isSafe(set, without: wanted[0]))
        set.nodes = (set.nodes + [difference?.target ?? wanted[0]]).sorted()
        #expect(cluster.planner.difference(of: set)?.step == .drop([wanted[0]]))
        #expect(cluster.planner.isSafe(set, without: wanted[0]))
        // A copy on another that has just fallen silent, or is emptied too, will not do.
        cluster.set(wanted[1], .suspect, .inService)
        #expect(!cluster.planner.isSafe(set, without: wanted[0]))
        cluster.set(wanted[1], .up, .draining)
        #expect(!cluster.planner.isSafe(set, without: wanted[0]))
    }

    @Test func `two copies on one host are one when a node is to leave`() {
        var (cluster, set, wanted) = scene(copies: 2)
        let others = cluster.members.map(\.id).filter { !wanted.contains($0) }
        set.nodes = [wanted[0], others[0], others[1]].sorted()
        cluster.set(wanted[0], .up, .draining)
        #expect(cluster.planner.isSafe(set, without: wanted[0]))
        for index in cluster.members.indices where others.contains(cluster.members[index].id) {
            cluster.members[index].domain = FailureDomain(host: "shared")
        }
        #expect(!cluster.planner.isSafe(set, without: wanted[0]))
    }

    @Test func `nothing is dropped while a wanted node is not up, nor on one that is not`() {
        var (cluster, set, wanted) = scene(copies: 2)
        let other = cluster.members.map(\.id).first { !wanted.contains($0) } ?? wanted[0]
        set.nodes = (set.nodes + [other]).sorted()
        #expect(cluster.planner.difference(of: set)?.step == .drop([other]))
        cluster.set(wanted[0], .suspect)
        #expect(cluster.planner.difference(of: set) == nil)
        cluster.set(wanted[0], .up)
        cluster.set(other, .suspect)
        #expect(cluster.planner.difference(of: set) == nil)
    }

    @Test func `another stands in for a full node where a copy is lacking, and not for comfort`() {
        var (cluster, set, wanted) = scene(copies: 2)
        cluster.set(wanted[1], .up, acceptsWrites: false)
        set.nodes = [wanted[0]]
        let difference = cluster.planner.difference(of: set)
        #expect(difference?.target != nil && difference?.target != wanted[1])
        set.nodes = [wanted[0], difference?.target ?? wanted[0]].sorted()
        #expect(cluster.planner.difference(of: set)?.step == .wait(.noTarget))
        #expect(cluster.planner.difference(of: set)?.kind == .rebalance)
    }

    @Test func `when nobody takes it, it waits`() {
        var (cluster, set, wanted) = scene(nodes: 2, copies: 2)
        cluster.set(wanted[0], .down)
        let difference = cluster.planner.difference(of: set)
        #expect(difference?.step == .wait(.noTarget) && difference?.livingCount == 1)
        set.nodes = [wanted[1]]
        cluster.set(wanted[0], .up, acceptsWrites: false)
        #expect(cluster.planner.difference(of: set)?.step == .wait(.noTarget))
    }

    @Test func `one copy is enough where one is wanted`() {
        var (cluster, set, wanted) = scene(copies: 1)
        #expect(cluster.planner.difference(of: set) == nil)
        cluster.set(wanted[0], .down)
        #expect(cluster.planner.difference(of: set)?.step == .wait(.noSource))
        cluster.set(wanted[0], .up, .draining)
        #expect(cluster.planner.difference(of: set)?.kind == .drain)
    }

    @Test func `sources that are up come before those that are suspect`() {
        var (cluster, set, wanted) = scene()
        set.nodes = [wanted[0], wanted[1]].sorted()
        cluster.set(set.nodes[0], .suspect)
        #expect(cluster.planner.difference(of: set)?.sources == [set.nodes[1], set.nodes[0]])
    }

    @Test func `the fewest living copies come first, then repair before drain before rebalancing`() {
        var cluster = SampleCluster(nodes: 6, copies: 3)
        let homes = cluster.homes
        cluster.set(.sample(1), .out)
        cluster.set(.sample(2), .down)
        cluster.set(.sample(3), .up, .draining)
        cluster.join(7)
        let plan = cluster.planner.plan(homes)
        #expect(Set(plan.map(\.kind)).isSuperset(of: [.repair, .drain, .rebalance]))
        #expect(plan.first?.livingCount == 1)
        for (one, next) in zip(plan, plan.dropFirst()) {
            #expect((one.livingCount, one.kind.rawValue) <= (next.livingCount, next.kind.rawValue))
        }
        #expect(cluster.planner.plan(homes.reversed()) == plan, "whatever order the sets come in")
    }
}
