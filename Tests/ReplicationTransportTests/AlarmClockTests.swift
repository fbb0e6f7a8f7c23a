// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOEmbedded
import ReplicationTransport
import Testing

/// Alarms ring in order and on time, and not when they were withdrawn.
struct AlarmClockTests {
    private let loop = EmbeddedEventLoop()

    @Test func alarmsRingWhenTheyAreDue() {
        let clock = AlarmClock(eventLoop: loop)
        var rung: [Int] = []
        let start = loop.now
        for (number, milliseconds) in [(1, 30), (2, 10), (3, 20), (4, 10)] {
            _ = clock.set(at: start + .milliseconds(Int64(milliseconds))) { rung.append(number) }
        }
        loop.advanceTime(by: .milliseconds(9))
        #expect(rung.isEmpty)
        loop.advanceTime(by: .milliseconds(1))
        #expect(rung == [2, 4])
        loop.advanceTime(by: .milliseconds(15))
        #expect(rung == [2, 4, 3])
        loop.advanceTime(by: .seconds(1))
        #expect(rung == [2, 4, 3, 1])
        #expect(clock.count == 0)
    }

    @Test func whatIsWithdrawnDoesNotRing() {
        let clock = AlarmClock(eventLoop: loop)
        var rung: [Int] = []
        let start = loop.now
        let first = clock.set(at: start + .milliseconds(10)) { rung.append(1) }
        _ = clock.set(at: start + .milliseconds(20)) { rung.append(2) }
        clock.withdraw(first)
        loop.advanceTime(by: .milliseconds(10))
        #expect(rung.isEmpty)
        loop.advanceTime(by: .milliseconds(10))
        #expect(rung == [2])
    }

    @Test func anActionMayWithdrawAndSetOthers() {
        let clock = AlarmClock(eventLoop: loop)
        var rung: [Int] = []
        let start = loop.now
        var second: AlarmClock.Alarm?
        _ = clock.set(at: start + .milliseconds(10)) {
            rung.append(1)
            if let second { clock.withdraw(second) }
            _ = clock.set(at: start + .milliseconds(12)) { rung.append(3) }
        }
        second = clock.set(at: start + .milliseconds(10)) { rung.append(2) }
        _ = clock.set(at: start + .milliseconds(50)) { rung.append(4) }
        loop.advanceTime(by: .milliseconds(10))
        #expect(rung == [1])
        loop.advanceTime(by: .milliseconds(2))
        #expect(rung == [1, 3])
        loop.advanceTime(by: .milliseconds(38))
        #expect(rung == [1, 3, 4])
    }

    @Test func oneThatIsDueAlreadyRingsAtTheNextTurn() {
        let clock = AlarmClock(eventLoop: loop)
        loop.advanceTime(by: .seconds(1))
        var hasRung = false
        _ = clock.set(at: loop.now - .milliseconds(500)) { hasRung = true }
        loop.advanceTime(by: .zero)
        #expect(hasRung)
    }
}
