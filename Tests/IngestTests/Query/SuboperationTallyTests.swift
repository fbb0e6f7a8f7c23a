// SPDX-License-Identifier: Apache-2.0

import DIMSE
import Ingest
import Testing

/// Counts of sub-operations and when the requestor is told, by a clock that the test moves.
@Suite struct SuboperationTallyTests {
    @Test func tellsAtOnceAndThenAtMostOnceInAnInterval() {
        let tally = SuboperationTally(count: 100)
        let start = ContinuousClock.now
        var told: [Int] = []
        for number in 0..<100 {
            tally.add(.success, of: "1.\(number)")
            // One instance takes 7 ms.
            if let counts = tally.takeReport(now: start.advanced(by: .milliseconds(7 * number))) {
                told.append(counts.completed)
                tally.reported()
            }
        }
        // 100 ms are 15 instances.
        #expect(told == [1, 16, 31, 46, 61, 76, 91])
        #expect(tally.counts == SuboperationCounts(remaining: 0, completed: 100))
    }

    @Test func laterCountsDoNotOvertakeThoseThatAreBeingSent() {
        let tally = SuboperationTally(count: 10)
        let start = ContinuousClock.now
        tally.add(.success, of: "1")
        #expect(tally.takeReport(now: start) != nil)
        tally.add(.success, of: "2")
        #expect(tally.takeReport(now: start.advanced(by: .seconds(5))) == nil)
        tally.reported()
        #expect(tally.takeReport(now: start.advanced(by: .seconds(5)))?.completed == 2)
    }

    @Test func countsOnceWhateverCountsAtOnce() async {
        let tally = SuboperationTally(count: 4_000)
        await withTaskGroup(of: Void.self) { tasks in
            for lane in 0..<4 {
                tasks.addTask {
                    for number in 0..<1_000 {
                        let statuses: [DIMSEStatus] = [.success, .coercionOfDataElements, .outOfResources, .success]
                        tally.add(statuses[number % 4], of: "\(lane).\(number)")
                        let counts = tally.counts
                        let sum = counts.remaining + counts.completed + counts.failed + counts.warning
                        #expect(sum == 4_000)
                    }
                }
            }
        }
        #expect(tally.counts == SuboperationCounts(remaining: 0, completed: 2_000, failed: 1_000, warning: 1_000))
        #expect(Set(tally.failed).count == 1_000)
    }
}

@Suite struct MoveQueueTests {
    private static func numbers(_ instances: [StoredInstance]) -> [String] { instances.map(\.sopInstanceUID) }

    @Test func givesOneAssociationAllAndSeveralSmallerAndSmallerParts() throws {
        let instances = try (0..<100).map { try StoredInstance.made($0) }
        #expect(MoveQueue(instances[...], associationCount: 1).take().count == 100)
        let queue = MoveQueue(instances[...], associationCount: 2)
        var counts: [Int] = []
        var all: [StoredInstance] = []
        while case let taken = queue.take(), !taken.isEmpty {
            counts.append(taken.count)
            all += taken
        }
        #expect(counts == counts.sorted(by: >) && counts.first == 25 && counts.last == 1)
        #expect(Self.numbers(all) == Self.numbers(instances))
        #expect(queue.isEmpty)
    }

    @Test func whatWasNotSentComesNext() throws {
        let instances = try (0..<40).map { try StoredInstance.made($0) }
        let queue = MoveQueue(instances[...], associationCount: 2)
        let taken = queue.take()
        queue.giveBack(taken.dropFirst(3))
        #expect(queue.take().first?.sopInstanceUID == instances[3].sopInstanceUID)
        queue.giveBack([])
        #expect(!queue.isEmpty)
        #expect(queue.takeAll().last?.sopInstanceUID == instances[39].sopInstanceUID)
        #expect(queue.isEmpty && queue.take().isEmpty)
    }
}
