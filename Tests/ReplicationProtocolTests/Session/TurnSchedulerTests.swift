// SPDX-License-Identifier: Apache-2.0

import ReplicationProtocol
import Testing

/// Who is next.
struct TurnSchedulerTests {
    private static let usual = 1 << 18

    /// Turns of `byteCount` each, while all of `priorities` want more: how many bytes each gets.
    private static func shares(
        of priorities: [RequestPriority],
        turns: Int,
        byteCount: Int
    ) -> [RequestPriority: Int] {
        var scheduler = TurnScheduler()
        for priority in priorities { scheduler.wants(priority) }
        var shares: [RequestPriority: Int] = [:]
        for _ in 0..<turns {
            guard let next = scheduler.next({ _ in Self.usual }) else { break }
            scheduler.given(next, byteCount: byteCount)
            shares[next, default: 0] += byteCount
        }
        return shares
    }

    @Test func allGetTheirShare() {
        let shares = Self.shares(of: RequestPriority.allCases, turns: 8500, byteCount: 1 << 18)
        let turns = shares.mapValues { $0 >> 18 }
        #expect(abs((turns[.control] ?? 0) - 6400) <= 64)
        #expect(abs((turns[.foreground] ?? 0) - 1600) <= 16)
        #expect(abs((turns[.repair] ?? 0) - 400) <= 4)
        #expect(abs((turns[.scrub] ?? 0) - 100) <= 1)
    }

    @Test func repairGetsAFifthBesideForeground() {
        let shares = Self.shares(of: [.foreground, .repair], turns: 1000, byteCount: 1 << 20)
        #expect(shares == [.foreground: 800 << 20, .repair: 200 << 20])
    }

    @Test func whoIsAloneHasEverything() {
        #expect(Self.shares(of: [.scrub], turns: 10, byteCount: 100) == [.scrub: 1000])
    }

    @Test func ofEqualsTheMoreUrgentIsFirst() {
        var scheduler = TurnScheduler()
        #expect(scheduler.next { _ in Self.usual } == nil)
        for priority in RequestPriority.allCases.reversed() { scheduler.wants(priority) }
        #expect(scheduler.next { _ in Self.usual } == .control)
        scheduler.isDone(.control)
        #expect(scheduler.next { _ in Self.usual } == .foreground)
        scheduler.isDone(.foreground)
        #expect(scheduler.next { _ in Self.usual } == .repair)
        #expect(scheduler.next { $0 != .repair ? Self.usual : nil } == .scrub)
    }

    @Test func aPriorityEarnsItsFirstTurn() {
        var scheduler = TurnScheduler()
        scheduler.wants(.repair)
        scheduler.wants(.foreground)
        for _ in 0..<4 {
            #expect(scheduler.next { _ in Self.usual } == .foreground)
            scheduler.given(.foreground, byteCount: Self.usual)
        }
        #expect(scheduler.next { _ in Self.usual } == .repair)
    }

    @Test func silenceSavesNothingUp() {
        var scheduler = TurnScheduler()
        scheduler.wants(.repair)
        for _ in 0..<1000 { scheduler.given(.repair, byteCount: 1 << 20) }
        // Foreground arrives late: it is next at once, but repair need not wait until foreground has caught up.
        scheduler.wants(.foreground)
        #expect(scheduler.next { _ in Self.usual } == .foreground)
        var foregroundTurns = 0
        while scheduler.next({ _ in Self.usual }) == .foreground {
            scheduler.given(.foreground, byteCount: 1 << 20)
            foregroundTurns += 1
        }
        #expect(foregroundTurns <= 5)
    }

    @Test func whoComesBackOwesWhatItHadTooMuch() {
        var scheduler = TurnScheduler()
        scheduler.wants(.foreground)
        scheduler.wants(.repair)
        scheduler.given(.repair, byteCount: 1 << 20)
        // Repair asks for one turn at a time, and anew after each: that gains it nothing and costs it nothing.
        var repairTurns = 0
        for _ in 0..<100 {
            guard let next = scheduler.next({ _ in Self.usual }) else { break }
            scheduler.given(next, byteCount: 1 << 20)
            guard next == .repair else { continue }
            repairTurns += 1
            scheduler.isDone(.repair)
            scheduler.wants(.repair)
        }
        #expect((19...21).contains(repairTurns))
    }

    @Test func turnsWithoutBytesCountToo() {
        var scheduler = TurnScheduler()
        scheduler.wants(.control)
        scheduler.wants(.scrub)
        var turns = 0
        while scheduler.next({ _ in 4096 }) == .control, turns < 10_000 {
            scheduler.given(.control, byteCount: 0)
            turns += 1
        }
        // 64 bytes each at 64 times the weight, against 4096.
        #expect(turns == 4033)
    }

    @Test(arguments: RequestPriority.allCases)
    func aPriorityTravelsInTheFlags(priority: RequestPriority) {
        #expect(MessageFlags(priority).priority == priority)
        #expect(!MessageFlags(priority).contains(.unsolicited))
        #expect(MessageFlags(rawValue: 0xfff9).priority == .foreground)
    }
}
