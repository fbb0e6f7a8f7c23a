// SPDX-License-Identifier: Apache-2.0

import ReplicationProtocol
import Testing

/// Silence, pings, giving up; and the pauses between attempts.
struct LivenessTests {
    @Test func aSilentPeerIsAskedAndThenGivenUp() {
        var monitor = LivenessMonitor(pingAfterNanoseconds: 10, giveUpAfterNanoseconds: 50, now: 0)
        #expect(monitor.tick(now: 9) == .wait)
        #expect(monitor.tick(now: 10) == .ping(token: 1))
        #expect(monitor.tick(now: 15) == .wait)
        #expect(monitor.tick(now: 20) == .ping(token: 2))
        monitor.heard(now: 25)
        #expect(monitor.tick(now: 30) == .wait)
        #expect(monitor.tick(now: 35) == .ping(token: 3))
        #expect(monitor.tick(now: 74) == .ping(token: 4))
        #expect(monitor.tick(now: 75) == .giveUp)
    }

    @Test func aPeerThatTalksIsNeverAsked() {
        var monitor = LivenessMonitor(pingAfterNanoseconds: 10, giveUpAfterNanoseconds: 50, now: 0)
        for now in stride(from: Int64(5), to: 1000, by: 5) {
            monitor.heard(now: now)
            #expect(monitor.tick(now: now) == .wait)
        }
    }

    @Test func pausesDoubleUpToTheMaximum() {
        var longest = ReconnectBackoff(initialMilliseconds: 100, maximumMilliseconds: 1000)
        var shortest = longest
        let bounds: [(Int64, Int64)] = [(50, 100), (100, 200), (200, 400), (400, 800), (500, 1000), (500, 1000)]
        for (low, high) in bounds {
            #expect(shortest.nextPause(random: 0) == low)
            #expect(longest.nextPause(random: UInt64(high - low)) == high)
        }
        longest.reset()
        #expect((50...100).contains(longest.nextPause(random: .random(in: 0 ... .max))))
    }
}
