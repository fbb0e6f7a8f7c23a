// SPDX-License-Identifier: Apache-2.0

import Placement
import Reconciliation
import Testing

/// Weights of the map made from what nodes say, beat by beat, as a leader does it.
@Suite struct CapacityWeightsTests {
    /// A cluster whose nodes say their weight each minute; nil: they do not say.
    private struct Scene {
        var weights = CapacityWeights()
        var map: PlacementMap
        var says: [NodeID: UInt32?] = [:]
        var states: [NodeID: NodeState] = [:]
        var now = Duration.seconds(1000)
        /// Groups with other holders, added up over all epochs.
        var reassigned = 0
        var epochs = 0

        /// A cluster in force with these weights, whose nodes say `says`.
        init(inForce: [UInt32], says: [UInt32?]) {
            let members = inForce.enumerated().map { StorageMember.sample($0.offset + 1, weight: $0.element) }
            map = PlacementMap(epoch: MapEpoch(rawValue: 1), members: members)
            for (index, weight) in says.enumerated() { self.says[.sample(index + 1)] = .some(weight) }
        }

        /// One leader after another knows only the map.
        mutating func takeOver() { weights = CapacityWeights() }

        mutating func run(minutes: Int) {
            for _ in 0..<minutes {
                now += .seconds(60)
                let nodes = says.keys.sorted()
                for node in nodes where states[node] ?? .up == .up {
                    if let weight = says[node] ?? nil { weights.told(node, weight, at: now) }
                }
                let members = nodes.map { node in
                    var member = StorageMember.sample(Int(node.low))
                    member.state = states[node] ?? .up
                    return member
                }
                let found = weights.weights(of: members, inForce: map, at: now)
                let next = members.map { member in
                    var member = member
                    member.weight = found[member.id] ?? 0
                    return member
                }
                guard next != map.members else { continue }
                let epoch = PlacementMap(epoch: MapEpoch(rawValue: map.epoch.rawValue + 1), members: next)
                reassigned += PlacementMovement(from: map, to: epoch, copies: 2).changes.count
                map = epoch
                epochs += 1
            }
        }

        var inForce: [UInt32] { map.members.map(\.weight) }
    }

    @Test func `the first map has the capacities as weights`() {
        var scene = Scene(inForce: [], says: [900, 1800, 900])
        scene.run(minutes: 1)
        #expect(scene.inForce == [900, 1800, 900])
    }

    @Test func `the first map has equal weights when a node does not say its capacity`() {
        var scene = Scene(inForce: [], says: [900, nil, 900])
        scene.run(minutes: 1)
        #expect(scene.inForce == [100, 100, 100])
    }

    @Test func `a cluster of equal nodes that is upgraded stays as it is`() {
        var scene = Scene(inForce: [100, 100, 100, 100], says: [nil, nil, nil, nil])
        // One node after another, ten minutes each.
        for node in 1...4 {
            scene.says[.sample(node)] = .some(931)
            scene.run(minutes: 10)
        }
        scene.run(minutes: 600)
        #expect(scene.inForce == [100, 100, 100, 100] && scene.epochs == 0)
    }

    @Test func `a cluster of unequal nodes that is upgraded changes once, an hour after the last node`() {
        var scene = Scene(inForce: [100, 100, 100], says: [nil, nil, nil])
        for (node, weight) in [(1, 1000), (2, 1000), (3, 3000)] {
            scene.says[.sample(node)] = .some(UInt32(weight))
            scene.run(minutes: 30)
        }
        #expect(scene.epochs == 0)
        scene.run(minutes: 30)
        #expect(scene.inForce == [100, 100, 100])
        scene.run(minutes: 2)
        #expect(scene.inForce == [1000, 1000, 3000] && scene.epochs == 1)
        scene.run(minutes: 600)
        #expect(scene.epochs == 1)
    }

    @Test(arguments: [[100, 100, 100], [1000, 1000, 1000]])
    func `a bigger node that joins takes its share, and nothing moves among the others`(inForce: [UInt32]) {
        var scene = Scene(inForce: inForce, says: [1000, 1000, 1000])
        scene.run(minutes: 200)
        let before = scene.map
        scene.says[.sample(4)] = .some(2000)
        scene.run(minutes: 1)
        #expect(scene.inForce == inForce + [inForce[0] * 2] && scene.epochs == 1)
        let movement = PlacementMovement(from: before, to: scene.map, copies: 2)
        #expect(movement.changes.allSatisfy { $0.gaining == [.sample(4)] })
        scene.run(minutes: 600)
        #expect(scene.epochs == 1)
    }

    @Test func `where the scale in force is too coarse all change at once, and move no more than that`() {
        var scene = Scene(inForce: [1, 1, 1], says: [4, 4, 4])
        scene.run(minutes: 200)
        #expect(scene.epochs == 0)
        scene.says[.sample(4)] = .some(6)
        scene.run(minutes: 1)
        #expect(scene.inForce == [4, 4, 4, 6])
    }

    @Test func `a newcomer that does not say its capacity gets as much as the others have`() {
        var scene = Scene(inForce: [900, 1100], says: [900, 1100])
        scene.says[.sample(3)] = .some(nil)
        scene.run(minutes: 600)
        #expect(scene.inForce == [900, 1100, 1000])
    }

    @Test func `capacities that go up and down a little move nothing`() {
        var scene = Scene(inForce: [1000, 1000, 1000], says: [1000, 1000, 1000])
        for step in 0..<300 {
            scene.says[.sample(1 + step % 3)] = .some(UInt32(970 + step * 37 % 60))
            scene.run(minutes: 1)
        }
        #expect(scene.epochs == 0)
    }

    @Test func `a change below the hysteresis moves nothing, one above it does, once it has held`() {
        var scene = Scene(inForce: [1000, 1000, 1000], says: [1000, 1000, 1100])
        scene.run(minutes: 600)
        #expect(scene.epochs == 0)
        scene.says[.sample(3)] = .some(1400)
        scene.run(minutes: 60)
        #expect(scene.epochs == 0)
        scene.run(minutes: 2)
        #expect(scene.inForce == [1000, 1000, 1400] && scene.epochs == 1)
    }

    @Test func `a disk that is away for less than the settling time moves nothing`() {
        var scene = Scene(inForce: [1000, 1000, 1000], says: [1000, 1000, 1000])
        scene.run(minutes: 100)
        for _ in 0..<10 {
            scene.says[.sample(2)] = .some(500)
            scene.run(minutes: 55)
            scene.says[.sample(2)] = .some(1000)
            scene.run(minutes: 55)
        }
        #expect(scene.epochs == 0)
        // When it does not come back the node's share follows.
        scene.says[.sample(2)] = .some(500)
        scene.run(minutes: 70)
        #expect(scene.inForce == [1000, 500, 1000] && scene.epochs == 1)
    }

    @Test func `a leader that takes over waits anew, and knows what is in force`() {
        var scene = Scene(inForce: [100, 100, 100], says: [1000, 1000, 3000])
        for _ in 0..<5 {
            scene.run(minutes: 50)
            scene.takeOver()
        }
        #expect(scene.epochs == 0)
        scene.run(minutes: 70)
        #expect(scene.inForce == [1000, 1000, 3000] && scene.epochs == 1)
        scene.takeOver()
        scene.run(minutes: 600)
        #expect(scene.epochs == 1)
        // A disk that is away at the takeover is not taken for all that there is.
        scene.says[.sample(3)] = .some(1500)
        scene.takeOver()
        scene.run(minutes: 55)
        #expect(scene.epochs == 1)
    }

    @Test func `a node that is down counts with what it said last, and nothing changes while that is not known`() {
        var scene = Scene(inForce: [100, 100, 100], says: [1000, 1000, 3000])
        scene.run(minutes: 50)
        scene.states[.sample(3)] = .down
        scene.run(minutes: 20)
        #expect(scene.inForce == [1000, 1000, 3000])
        scene.takeOver()
        scene.says[.sample(1)] = .some(2000)
        scene.run(minutes: 600)
        #expect(scene.inForce == [1000, 1000, 3000], "this leader has not heard the node")
        // One that is out owns nothing: the others are compared without it.
        scene.states[.sample(3)] = .out
        scene.run(minutes: 1)
        // What it had keeps its proportion to the others, until it says what it is.
        #expect(scene.inForce == [2000, 1000, 4500])
    }

    @Test func `a node in another scale that is out while the weights change keeps its proportion`() {
        var scene = Scene(inForce: [100, 100, 100], says: [1000, 3000, nil])
        scene.states[.sample(3)] = .out
        scene.run(minutes: 100)
        #expect(scene.inForce == [1000, 3000, 2000])
    }

    @Test func `a node that is told to hold nothing owns nothing, and may hold something again`() {
        var scene = Scene(inForce: [1000, 1000, 1000], says: [1000, 1000, 1000])
        scene.says[.sample(3)] = .some(0)
        scene.run(minutes: 70)
        #expect(scene.inForce == [1000, 1000, 0])
        #expect(scene.map[.sample(3)]?.ownsGroups == false)
        scene.says[.sample(3)] = .some(1000)
        scene.run(minutes: 70)
        #expect(scene.inForce == [1000, 1000, 1000] && scene.epochs == 2)
    }

    @Test func `nodes that all say to hold nothing are not believed, and no number is too large`() {
        var scene = Scene(inForce: [1000, 1000, 1000], says: [0, 0, 0])
        scene.run(minutes: 100)
        #expect(scene.inForce == [1000, 1000, 1000])
        scene = Scene(inForce: [.max, 1, .max], says: [.max, .max, 1])
        scene.says[.sample(4)] = .some(.max)
        scene.run(minutes: 100)
        #expect(scene.inForce == [.max, .max, 1, .max])
    }
}
