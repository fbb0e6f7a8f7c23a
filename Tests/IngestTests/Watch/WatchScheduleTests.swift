// SPDX-License-Identifier: Apache-2.0

import Ingest
import Testing

@Suite struct WatchScheduleTests {
    private let schedule = WatchSchedule()

    // MARK: Sampling

    @Test func `one of so many is taken, whatever the numbers are`() {
        var generator = SystemRandomNumberGenerator()
        var sampler = WatchSampler(oneOf: 10, limitPerMinute: .max)
        let taken = (0..<100_000).count { _ in sampler.takes(at: 0, random: generator.next()) }
        // 10,000 expected, with a standard deviation of 95.
        #expect((9_000...11_000).contains(taken))
        var all = WatchSampler(oneOf: 1, limitPerMinute: .max)
        let both = [0, .max].map { all.takes(at: 0, random: $0) }
        #expect(both == [true, true])
    }

    @Test func `a flood is cut off for the rest of its minute`() {
        var sampler = WatchSampler(oneOf: 1, limitPerMinute: 3)
        func taken(_ milliseconds: Int64) -> Int {
            (0..<100).count { _ in sampler.takes(at: milliseconds, random: 0) }
        }
        #expect([taken(1_000), taken(59_999), taken(60_000), taken(119_999), taken(600_000)] == [3, 0, 3, 0, 3])
    }

    // MARK: Ages

    @Test func `ages come in order and each once, and never none`() {
        #expect(WatchSchedule(agesInSeconds: [60, 5, 60, 10]).agesInSeconds == [5, 10, 60])
        #expect(WatchSchedule(agesInSeconds: []).agesInSeconds == [60, 3_600, 86_400, 604_800])
    }

    @Test(arguments: [(60, 3_600), (61, 3_600), (3_600, 86_400), (90_000, 604_800), (604_800, nil), (9_000_000, nil)])
    func `looks that nobody came to are passed over`(age: Int, next: Int?) {
        #expect(schedule.nextAge(after: age) == next)
        let look = WatchLookState(plannedAge: 60, age: age)
        #expect(schedule.verdict(on: .same, to: look, nil) == .passed(nextAge: next))
    }

    @Test func `a look by a clock that went back is not done again`() {
        let look = WatchLookState(plannedAge: 3_600, age: 0)
        #expect(schedule.verdict(on: .same, to: look, nil) == .passed(nextAge: 86_400))
    }

    // MARK: Failures

    private static let passing: [WatchAnswer] = [.missing("404"), .unreadable("500"), .unreachable("gone")]

    @Test(arguments: passing)
    func `what may pass is an alarm when it has lasted, and stays one`(answer: WatchAnswer) {
        func isAlarm(_ count: Int, _ seconds: Int, was: Bool = false) -> Bool? {
            let look = WatchLookState(
                plannedAge: 60,
                age: 60 + seconds,
                failureCount: count,
                failing: .seconds(seconds),
                isAlarm: was
            )
            guard case .failed(let isAlarm, _) = schedule.verdict(on: answer, to: look, nil) else { return nil }
            return isAlarm
        }
        #expect(isAlarm(0, 0) == false)
        #expect(isAlarm(5, 599) == false)
        #expect(isAlarm(6, 600) == true)
        #expect(isAlarm(1, 10, was: true) == true)
    }

    @Test func `other bytes are an alarm at once`() {
        let verdict = schedule.verdict(on: .different("9 bytes"), to: WatchLookState(plannedAge: 60, age: 60), nil)
        #expect(verdict == .failed(isAlarm: true, delay: .seconds(60)))
    }

    @Test(arguments: passing + [.different("9 bytes")])
    func `what was deleted ends, whatever came back`(answer: WatchAnswer) {
        let look = WatchLookState(plannedAge: 60, age: 900, failureCount: 9, failing: .seconds(800), isAlarm: true)
        let standing = WatchStanding(isInTrash: true, isOther: false)
        #expect(schedule.verdict(on: answer, to: look, standing) == .ended("it was deleted"))
    }

    @Test func `only what was accepted without the catalog may be refused by it`() {
        var look = WatchLookState(plannedAge: 60, age: 60)
        let standing = WatchStanding(isInTrash: false, isOther: true)
        #expect(
            schedule.verdict(on: .different(""), to: look, standing) == .failed(isAlarm: true, delay: .seconds(60))
        )
        look.isNoted = true
        #expect(schedule.verdict(on: .different(""), to: look, standing) == .ended("the catalog has refused it"))
    }

    @Test func `what cannot be compared is not looked at again`() {
        let look = WatchLookState(plannedAge: 60, age: 60)
        #expect(schedule.verdict(on: .unjudged("too long"), to: look, nil) == .ended("too long"))
    }

    @Test(arguments: [Duration.zero, .seconds(3), .seconds(600), .seconds(604_800)])
    func `failures are looked at several times within the patience, then less and less often`(patience: Duration) {
        let schedule = WatchSchedule(patience: patience)
        var delays: [Duration] = []
        var failing = Duration.zero
        for count in 0..<10_100 where failing < patience + .seconds(86_400) {
            let delay = schedule.retryDelay(failing: failing, failureCount: count)
            delays.append(delay)
            failing += delay
        }
        #expect(delays.allSatisfy { $0 >= .seconds(1) && $0 <= .seconds(3_600) })
        #expect(delays[0] <= max(patience / 4, .seconds(1)))
        #expect(delays.last == .seconds(3_600))
        #expect(delays == delays.sorted())
    }

    // MARK: Servers

    @Test(
        arguments: [
            ("http://10.0.0.1:8042", "10.0.0.1", 8_042), ("http://pacs.example/", "pacs.example", 80),
            ("http://[fd00::1]:81", "fd00::1", 81), ("http://[::1]", "::1", 80),
        ]
    )
    func `servers are named by scheme, host and port`(text: String, host: String, port: Int) {
        #expect(WatchServer(text) == WatchServer(host: host, port: port))
    }

    @Test(
        arguments: [
            "", "pacs:80", "https://pacs", "http://", "http://pacs/path", "http://pacs:0", "http://pacs:x",
            "http://a@b", "http://[::1", "http://[::1]x", "http://:80",
        ]
    )
    func `what is no server is refused`(text: String) {
        #expect(WatchServer(text) == nil)
    }
}
