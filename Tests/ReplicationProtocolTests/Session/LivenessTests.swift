// SPDX-License-Identifier: Apache-2.0

import ReplicationProtocol
import Testing

/// Silence, pings, giving up; and the pauses between attempts.
struct LivenessTests {
    @Test func aSilentPeerIsAskedAndThenGivenUp() {
        var monitor = LivenessMonitor(pingAfterNanoseconds: 10, giveUpAfterNanoseconds: 50, now: 0)
        // Connecting is a sign of life; the silence begins at the first tick.
        #expect(monitor.tick(now: 5) == .wait)
        #expect(monitor.tick(now: 10) == .wait)
        #expect(monitor.tick(now: 15) == .ping(token: 1))
        #expect(monitor.tick(now: 20) == .wait)
        #expect(monitor.tick(now: 25) == .ping(token: 2))
        monitor.heard()
        for now in [30, 35] as [Int64] { #expect(monitor.tick(now: now) == .wait) }
        for (now, token) in [(45, 3), (55, 4), (65, 5), (75, 6)] as [(Int64, UInt64)] {
            #expect(monitor.tick(now: now) == .ping(token: token))
        }
        #expect(monitor.tick(now: 80) == .giveUp)
    }

    @Test func aPeerThatTalksIsNeverAsked() {
        var monitor = LivenessMonitor(pingAfterNanoseconds: 10, giveUpAfterNanoseconds: 50, now: 0)
        for now in stride(from: Int64(5), to: 1000, by: 5) {
            monitor.heard()
            #expect(monitor.tick(now: now) == .wait)
        }
    }

    @Test func aProcessThatSleptDoesNotBlameItsPeer() {
        var monitor = LivenessMonitor(pingAfterNanoseconds: 10, giveUpAfterNanoseconds: 50, now: 0)
        #expect(monitor.tick(now: 5) == .wait)
        #expect(monitor.tick(now: 1_000_000) == .ping(token: 1))
        monitor.heard()
        #expect(monitor.tick(now: 1_000_005) == .wait)
        #expect(monitor.tick(now: 2_000_000) == .ping(token: 2))
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
