// SPDX-License-Identifier: Apache-2.0

import Placement
import Reconciliation
import Testing

@Suite struct MembershipTests {
    private typealias Health = NodeStanding.Health

    /// Five nodes that answer each second, but for those in `silent`.
    private struct Scene {
        var membership: Membership
        var nodes: [NodeID]
        var silent: Set<NodeID> = []
        var now = Duration.seconds(100)
        var lastLoss: Membership.MassLoss?

        init(nodes count: Int = 5, limits: MembershipLimits = MembershipLimits()) {
            nodes = (1...count).map { NodeID.sample($0) }
            membership = Membership(limits: limits, at: now)
            for node in nodes { membership.expect(node, service: .inService, at: now) }
        }

        @discardableResult
        mutating func run(seconds: Int) -> [Membership.Change] {
            var changes: [Membership.Change] = []
            for _ in 0..<seconds {
                now += .seconds(1)
                for node in nodes where !silent.contains(node) { _ = membership.answered(node, at: now) }
                let judgement = membership.judge(at: now)
                changes += judgement.changes
                lastLoss = judgement.massLoss
            }
            return changes
        }

        func health(_ number: Int) -> Health? { membership.standing(of: .sample(number))?.health }
    }

    @Test func `a silent node is suspect after 5 s, down after 20 s and out after 15 min`() {
        var scene = Scene()
        scene.run(seconds: 1)
        #expect(scene.health(2) == .up)
        scene.silent = [.sample(2)]
        scene.run(seconds: 4)
        #expect(scene.health(2) == .up)
        scene.run(seconds: 1)
        #expect(scene.health(2) == .suspect)
        scene.run(seconds: 14)
        #expect(scene.health(2) == .suspect)
        scene.run(seconds: 1)
        #expect(scene.health(2) == .down)
        scene.run(seconds: 879)
        #expect(scene.health(2) == .down)
        let changes = scene.run(seconds: 1)
        #expect(scene.health(2) == .out)
        #expect(changes.map(\.node) == [.sample(2)] && changes.first?.before?.health == .down)
        #expect(scene.health(1) == .up)
    }

    @Test(arguments: [7, 30, 1000])
    func `a node that answers again is up at once, also when it was out`(seconds: Int) {
        var scene = Scene()
        scene.run(seconds: 1)
        scene.silent = [.sample(4)]
        scene.run(seconds: seconds)
        #expect(scene.health(4) != .up)
        scene.silent = []
        let changes = scene.run(seconds: 1)
        #expect(scene.health(4) == .up)
        #expect(changes.map(\.now.state) == [.up])
    }

    @Test func `a node that has never answered is suspect, then down, then out`() {
        var scene = Scene()
        scene.silent = [.sample(5)]
        scene.run(seconds: 1)
        #expect(scene.health(5) == .suspect)
        scene.run(seconds: 19)
        #expect(scene.health(5) == .down)
        scene.run(seconds: 880)
        #expect(scene.health(5) == .out)
    }

    @Test func `whoever takes over goes on with what was written down`() {
        var scene = Scene()
        scene.nodes.append(.sample(6))
        scene.silent = [.sample(6)]
        scene.membership.expect(.sample(6), service: .inService, health: .out, at: scene.now)
        scene.run(seconds: 1)
        #expect(scene.health(6) == .out)
        // Told again, it is not out again.
        scene.silent = []
        scene.run(seconds: 1)
        scene.membership.expect(.sample(6), service: .inService, health: .out, at: scene.now)
        scene.run(seconds: 1)
        #expect(scene.health(6) == .up)
    }

    @Test(arguments: [(0, 880), (100, 780), (800, 80), (10_000, 60)])
    func `a node that was down at a takeover is so still, and has a minute at least`(age: Int, left: Int) {
        var scene = Scene()
        scene.nodes.append(.sample(6))
        scene.silent = [.sample(6)]
        scene.membership.expect(.sample(6), service: .inService, health: .down, for: .seconds(age), at: scene.now)
        scene.run(seconds: left - 1)
        #expect(scene.health(6) == .down)
        scene.run(seconds: 1)
        #expect(scene.health(6) == .out)
    }

    @Test func `when much of the cluster vanishes at once nothing is declared out`() {
        var scene = Scene()
        scene.run(seconds: 1)
        scene.silent = [.sample(1), .sample(3)]
        scene.run(seconds: 899)
        #expect(scene.lastLoss == nil)
        scene.run(seconds: 100)
        #expect(scene.health(1) == .down && scene.health(3) == .down)
        #expect(scene.lastLoss?.nodes == [.sample(1), .sample(3)])
        #expect(scene.lastLoss?.lostCount == 2 && scene.lastLoss?.nodeCount == 5)
        // When one of them is back, the other was lost alone.
        scene.silent = [.sample(3)]
        scene.run(seconds: 1)
        #expect(scene.health(1) == .up && scene.health(3) == .out)
        #expect(scene.lastLoss == nil)
    }

    /// Six nodes on three hosts, or all on one.
    @Test(arguments: [([1, 2], 3, true), ([1, 3], 3, false), ([1, 2, 3], 3, false), ([1, 2], 1, false)])
    func `a host that dies is one loss, whatever it had`(silent: [Int], hosts: Int, areOut: Bool) {
        var scene = Scene(nodes: 6)
        for number in 1...6 {
            let domain = FailureDomain(site: "a", rack: "1", host: "host-\(hosts == 1 ? 1 : (number + 1) / 2)")
            scene.membership.expect(.sample(number), service: .inService, domain: domain, at: scene.now)
        }
        scene.run(seconds: 1)
        scene.silent = Set(silent.map { NodeID.sample($0) })
        scene.run(seconds: 950)
        for number in silent { #expect(scene.health(number) == (areOut ? .out : .down)) }
        #expect((scene.lastLoss == nil) == areOut)
    }

    @Test func `of nodes lost some minutes apart each is a loss of its own`() {
        var scene = Scene()
        scene.run(seconds: 1)
        scene.silent = [.sample(1)]
        scene.run(seconds: 301)
        scene.silent = [.sample(1), .sample(3)]
        scene.run(seconds: 600)
        #expect(scene.health(1) == .out && scene.health(3) == .down)
        scene.run(seconds: 301)
        #expect(scene.health(3) == .out)
    }

    @Test(arguments: [
        (2, 1, true), (3, 1, true), (3, 2, false), (7, 2, true), (7, 3, false), (10, 3, true), (10, 4, false),
    ])
    func `more than three in ten, and more than one, is much of a cluster`(nodes: Int, lost: Int, areOut: Bool) {
        var scene = Scene(nodes: nodes)
        scene.run(seconds: 1)
        scene.silent = Set((1...lost).map { NodeID.sample($0) })
        scene.run(seconds: 950)
        for number in 1...lost { #expect(scene.health(number) == (areOut ? .out : .down)) }
        #expect((scene.lastLoss == nil) == areOut)
    }

    @Test func `a removed node counts neither as lost nor as one of the cluster`() {
        var scene = Scene(nodes: 4)
        scene.run(seconds: 1)
        scene.membership.expect(.sample(1), service: .removed, at: scene.now)
        scene.silent = [.sample(1), .sample(2)]
        scene.run(seconds: 950)
        #expect(scene.health(2) == .out)
        #expect(scene.membership.standing(of: .sample(1))?.state == .removed)
    }

    @Test func `time in which the coordinator was stopped is nobody's silence`() {
        var scene = Scene()
        scene.run(seconds: 1)
        scene.silent = [.sample(2)]
        scene.run(seconds: 30)
        scene.now += .seconds(3000)
        scene.run(seconds: 1)
        #expect(scene.health(2) == .down)
        for number in [1, 3, 4, 5] { #expect(scene.health(number) == .up) }
        // And none of those that could not be reached at once.
        scene.now += .seconds(3000)
        scene.silent = Set(scene.nodes)
        scene.run(seconds: 1)
        #expect(scene.health(1) == .suspect && scene.health(2) == .down)
    }

    @Test func `a clock that goes backwards changes nothing`() {
        var scene = Scene()
        scene.run(seconds: 10)
        scene.now -= .seconds(8)
        scene.silent = [.sample(1)]
        scene.run(seconds: 3)
        #expect(scene.health(1) == .up && scene.health(2) == .up)
    }

    @Test func `a node in maintenance is not declared out, and has its time when that ends`() {
        var scene = Scene()
        scene.run(seconds: 1)
        let end = scene.now + .seconds(2000)
        scene.membership.expect(.sample(2), service: .inService, maintenanceUntil: end, at: scene.now)
        scene.silent = [.sample(2)]
        scene.run(seconds: 1999)
        #expect(scene.health(2) == .down)
        #expect(scene.membership.standing(of: .sample(2))?.isInMaintenance == true)
        #expect(scene.membership.standing(of: .sample(2))?.isLiving == true)
        scene.run(seconds: 879)
        #expect(scene.health(2) == .down)
        #expect(scene.membership.standing(of: .sample(2))?.isLiving == false)
        scene.run(seconds: 10)
        #expect(scene.health(2) == .out)
    }

    @Test func `maintenance of much of the cluster is not its loss`() {
        var scene = Scene()
        scene.run(seconds: 1)
        for number in 1...3 {
            scene.membership.expect(
                .sample(number),
                service: .inService,
                maintenanceUntil: scene.now + .seconds(5000),
                at: scene.now
            )
        }
        scene.silent = Set((1...4).map { NodeID.sample($0) })
        scene.run(seconds: 1000)
        #expect(scene.health(1) == .down && scene.health(4) == .out)
        // Ended early, all at once: that is a loss of much of it.
        for number in 1...3 { scene.membership.expect(.sample(number), service: .inService, at: scene.now) }
        scene.run(seconds: 1000)
        #expect(scene.health(1) == .down && scene.lastLoss?.lostCount == 3)
    }

    @Test func `a removed node that comes back is recognised and refused`() {
        var scene = Scene()
        scene.run(seconds: 1)
        scene.membership.expect(.sample(2), service: .removed, at: scene.now)
        let isWelcome = scene.membership.answered(.sample(2), at: scene.now)
        #expect(!isWelcome)
        scene.run(seconds: 1)
        #expect(scene.membership.standing(of: .sample(2))?.state == .removed)
        #expect(scene.membership.standing(of: .sample(2))?.isCounted == false)
        // A node that nobody has heard of is welcome.
        let isNewWelcome = scene.membership.answered(.sample(9), at: scene.now)
        #expect(isNewWelcome)
        scene.run(seconds: 1)
        #expect(scene.membership.nodes.contains(.sample(9)))
    }

    @Test func `a draining node owns nothing whether it answers or not`() {
        var scene = Scene()
        scene.run(seconds: 1)
        scene.membership.expect(.sample(2), service: .draining, at: scene.now)
        scene.silent = [.sample(2)]
        for expected in [NodeState.draining, .draining, .draining, .out] {
            scene.run(seconds: expected == .out ? 900 : 10)
            #expect(scene.membership.standing(of: .sample(2))?.state == expected)
            #expect(scene.membership.standing(of: .sample(2))?.state.ownsGroups == false)
        }
        scene.silent = []
        scene.run(seconds: 1)
        #expect(scene.membership.standing(of: .sample(2))?.state == .draining)
        scene.membership.expect(.sample(2), service: .inService, at: scene.now)
        scene.run(seconds: 1)
        #expect(scene.membership.standing(of: .sample(2))?.state == .up)
    }

    @Test func `times are what the limits say`() {
        var limits = MembershipLimits()
        limits.suspectAfter = .seconds(2)
        limits.downAfter = .seconds(4)
        limits.outAfter = .seconds(8)
        var scene = Scene(limits: limits)
        scene.run(seconds: 1)
        scene.silent = [.sample(1)]
        for (seconds, health) in [(1, Health.up), (1, .suspect), (2, .down), (3, .down), (1, .out)] {
            scene.run(seconds: seconds)
            #expect(scene.health(1) == health)
        }
    }
}
