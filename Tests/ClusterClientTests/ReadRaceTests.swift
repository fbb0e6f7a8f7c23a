// SPDX-License-Identifier: Apache-2.0

import ClusterClient
import Placement
import Testing

@Suite struct ReadRaceTests {
    private let nodes = (0..<3).map { NodeID(high: 1, low: UInt64($0)) }

    @Test func `a copy that fails is followed by the next, and after the last there is none`() {
        var race = ReadRace(nodes)
        #expect(race.next() == .ask(nodes[0]))
        #expect(race.failed(nodes[0]) == .ask(nodes[1]))
        #expect(race.failed(nodes[1]) == .ask(nodes[2]))
        #expect(race.failed(nodes[2]) == .giveUp)
    }

    @Test func `beside a slow copy the next is asked, and when that fails the one after it`() {
        var race = ReadRace(nodes)
        _ = race.next()
        #expect(race.slow(nodes[0]) == .ask(nodes[1]))
        #expect(race.running == [nodes[0], nodes[1]])
        #expect(race.failed(nodes[1]) == .ask(nodes[2]))
        #expect(race.slow(nodes[1]) == .wait, "it has ended")
        #expect(race.slow(nodes[2]) == .wait, "there is no other")
        #expect(race.failed(nodes[2]) == .wait, "the slow one may answer yet")
        #expect(race.failed(nodes[0]) == .giveUp)
    }

    @Test func `the failure of a slow copy does not send for more while another is asked`() {
        var race = ReadRace(nodes)
        _ = race.next()
        _ = race.slow(nodes[0])
        #expect(race.failed(nodes[0]) == .wait)
        #expect(race.failed(nodes[1]) == .ask(nodes[2]))
    }

    @Test func `who has won sends for nobody, and leaves those that lost`() {
        var race = ReadRace(nodes)
        _ = race.next()
        race.won(nodes[0])
        #expect(race.running.isEmpty && !race.hasNext)
        race = ReadRace(nodes)
        _ = race.next()
        _ = race.slow(nodes[0])
        race.won(nodes[1])
        #expect(race.running == [nodes[0]] && !race.hasNext)
    }

    @Test func `without copies there is nothing to ask until there are more`() {
        var race = ReadRace([])
        #expect(race.next() == .giveUp)
        race.add([nodes[1]])
        #expect(race.hasNext)
        #expect(race.next() == .ask(nodes[1]))
        #expect(race.failed(nodes[1]) == .giveUp)
    }

    @Test func `a slow node costs more than a quick one, and is tried again in time`() {
        let start = ContinuousClock.now
        var (quick, slow) = (NodePace(), NodePace())
        #expect(quick.patience(weight: 1) == nil)
        for _ in 0..<20 {
            quick.note(.milliseconds(2), weight: 1, now: start)
            slow.note(.milliseconds(3), weight: 1, now: start)
        }
        #expect(quick.cost(now: start) < slow.cost(now: start))
        // Many waiting at the quick one are worth a way to the other.
        quick.running = 4
        #expect(quick.cost(now: start) > slow.cost(now: start))
        quick.running = 0
        slow.note(.seconds(2), weight: 1, now: start)
        #expect(slow.cost(now: start) > 4 * quick.cost(now: start), "one slow answer is believed")
        quick.note(.milliseconds(2), weight: 1, now: start + .seconds(120))
        #expect(slow.cost(now: start + .seconds(120)) < quick.cost(now: start + .seconds(120)))
    }

    @Test func `large reads are expected to take longer`() throws {
        var pace = NodePace()
        let now = ContinuousClock.now
        for _ in 0..<50 { pace.note(.milliseconds(80), weight: NodePace.weight(byteCount: 2 << 20), now: now) }
        let small = try #require(pace.patience(weight: NodePace.weight(byteCount: 1000)))
        let large = try #require(pace.patience(weight: NodePace.weight(byteCount: 2 << 20)))
        #expect(small >= .milliseconds(10) && small < .milliseconds(20))
        #expect(large >= .milliseconds(80) && large < .milliseconds(160))
    }

    @Test func `second requests are a tenth of all, after a first few`() {
        var budget = HedgeBudget()
        var count = 0
        for _ in 0..<1000 {
            budget.readBegan()
            if budget.take() { count += 1 }
        }
        #expect(count >= 100 && count <= 112)
    }
}
