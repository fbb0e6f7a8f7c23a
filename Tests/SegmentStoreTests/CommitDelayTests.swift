// SPDX-License-Identifier: Apache-2.0

import NIOConcurrencyHelpers
import SegmentStore
import SimulatedDisk
import Testing

/// How long the writer waits for company, with all times handed in.
@Suite struct CommitDelayTests {
    private static let millisecond: Int64 = 1_000_000

    private static func delay() -> CommitDelay {
        CommitDelay(maximumRecordCount: 64, maximumNanoseconds: 2 * millisecond)
    }

    @Test func aPutWithoutCompanyNeverWaits() {
        var delay = Self.delay()
        #expect(delay.wait(waiting: 1) == nil)
        for _ in 0..<10 {
            delay.committed(count: 1, waiting: 0, nanoseconds: 5 * Self.millisecond)
            #expect(delay.wait(waiting: 1) == nil)
        }
    }

    @Test func thoseJustAnsweredAndThoseThatWaitAreExpected() throws {
        var delay = Self.delay()
        delay.committed(count: 3, waiting: 1, nanoseconds: Self.millisecond)
        let wait = try #require(delay.wait(waiting: 1))
        #expect(wait.count == 4)
        // All are there: nothing to wait for.
        #expect(delay.wait(waiting: 4) == nil)
        #expect(delay.wait(waiting: 9) == nil)
    }

    @Test func noMoreAreExpectedThanABatchHolds() throws {
        var delay = Self.delay()
        delay.committed(count: 64, waiting: 100, nanoseconds: Self.millisecond)
        #expect(try #require(delay.wait(waiting: 63)).count == 64)
        #expect(delay.wait(waiting: 64) == nil)
    }

    @Test(
        "half of the last batch's time, at most the limit",
        arguments: [
            (took: Int64(0), longest: nil), (1, nil), (100_000, 50_000), (3_000_000, 1_500_000),
            (60_000_000, 2_000_000),
        ]
            as [(took: Int64, longest: Int64?)]
    )
    func isBounded(took: Int64, longest: Int64?) {
        var delay = Self.delay()
        delay.committed(count: 2, waiting: 0, nanoseconds: took)
        #expect(delay.wait(waiting: 1)?.nanoseconds == longest)
    }

    @Test func theTimeOfTheLastBatchCountsNotThatOfWhatWroteNone() throws {
        var delay = Self.delay()
        delay.committed(count: 2, waiting: 0, nanoseconds: Self.millisecond)
        // All puts of the next round were there already.
        delay.committed(count: 0, waiting: 3, nanoseconds: 0)
        #expect(try #require(delay.wait(waiting: 1)) == CommitDelay.Wait(count: 3, nanoseconds: Self.millisecond / 2))
    }

    /// Whoever comes back more slowly than the waits last is waited for less and less, and then tried again now and then.
    @Test func waitsInVainBecomeShort() throws {
        var delay = Self.delay()
        var waited: [Int64] = []
        for _ in 0..<40 {
            delay.committed(count: 8, waiting: 0, nanoseconds: Self.millisecond)
            let wait = try #require(delay.wait(waiting: 1))
            waited.append(wait.nanoseconds)
            delay.waited(wait, before: 1, after: 4)
        }
        let half = Self.millisecond / 2
        #expect(waited.prefix(6) == [half, half / 2, half / 4, half / 8, half / 16, half / 32])
        #expect(waited[6..<16].allSatisfy { $0 == half / 32 })
        // One long wait again, and the same patience as before.
        #expect(waited[16] == half && waited[17] == half / 32 && waited[33] == half)
        #expect(waited.filter { $0 == half }.count == 3)
    }

    @Test func aWaitThatBroughtHalfOfThoseMissedMakesTheNextOnesLongAgain() throws {
        var delay = Self.delay()
        func next() throws -> CommitDelay.Wait {
            delay.committed(count: 8, waiting: 0, nanoseconds: Self.millisecond)
            return try #require(delay.wait(waiting: 2))
        }
        for _ in 0..<4 { delay.waited(try next(), before: 2, after: 2) }
        #expect(try next().nanoseconds == Self.millisecond / 32)
        delay.waited(try next(), before: 2, after: 5)
        #expect(try next().nanoseconds == Self.millisecond / 2)
        delay.waited(try next(), before: 2, after: 4)
        #expect(try next().nanoseconds == Self.millisecond / 4)
    }

    /// Past the page cache the disk's work is in the write, and the sync has little left to do.
    @Test func theTimeOfABatchIsThatOfItsWriteAndItsSync() throws {
        var machine = Machine()
        let now = NIOLockedValueBox(Int64(0))
        machine.monotonicNanoseconds = { now.withLockedValue { $0 } }
        var engine = try machine.open()
        // The first batch makes the segment.
        _ = engine.append([try Fixture.record(0)])
        machine.disk.setFaults { event in
            switch event.operation {
            case .write: now.withLockedValue { $0 += 2_000_000 }
            case .sync: now.withLockedValue { $0 += 100_000 }
            default: break
            }
            return nil
        }
        _ = engine.append([try Fixture.record(1), try Fixture.record(2)])
        #expect(engine.lastBatchNanoseconds == 2_100_000)
        engine.abandon()
    }
}
