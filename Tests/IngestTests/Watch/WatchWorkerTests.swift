// SPDX-License-Identifier: Apache-2.0

import Catalog
import DICOM
import Ingest
import Logging
import NIOConcurrencyHelpers
import Telemetry
import Testing

@Suite struct WatchWorkerTests {
    /// Answers what the test says.
    private final class Archive: WatchFetching {
        let answer = NIOLockedValueBox(WatchAnswer.same)
        let isOpen = NIOLockedValueBox(true)

        var isReady: Bool { isOpen.withLockedValue { $0 } }

        func fetch(_ instance: WatchedInstance) async -> WatchAnswer { answer.withLockedValue { $0 } }
    }

    private struct Parts {
        let ledger = MemoryWatchLedger()
        let archive = Archive()
        let intake = WatchIntake(WatchSampler(oneOf: 1, limitPerMinute: .max))
        let registry = MetricsRegistry()
        let worker: WatchWorker

        init() {
            let schedule = WatchSchedule()
            worker = WatchWorker(
                ledger: ledger,
                fetcher: archive,
                intake: intake,
                schedule: schedule,
                name: "me",
                sampleLimit: 10,
                metrics: WatchMetrics(registry, schedule: schedule),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
            )
        }

        func look(_ answer: WatchAnswer, failures: Int = 0, seconds: Int = 0, isAlarm: Bool = false) async throws {
            archive.answer.withLockedValue { $0 = answer }
            await worker.work(
                on: WatchLook(
                    id: 1,
                    instance: try .sample(),
                    plannedAgeSeconds: 60,
                    ageSeconds: 61,
                    failureCount: failures,
                    failingSeconds: seconds,
                    isAlarm: isAlarm
                )
            )
        }

        var state: MemoryWatchLedger.State { ledger.state.withLockedValue { $0 } }

        func change(_ body: (inout MemoryWatchLedger.State) -> Void) { ledger.state.withLockedValue(body) }

        func count(_ result: String, age: String = "60") -> Bool {
            registry.text().contains("varve_watch_checks_total{age=\"\(age)\",result=\"\(result)\"} 1\n")
        }
    }

    @Test func `what comes back is looked at again when it is older`() async throws {
        let parts = Parts()
        try await parts.look(.same)
        #expect(parts.state.told == ["passed, next 3600"])
        #expect(parts.count("same"))
        #expect(parts.registry.text().contains("varve_watch_last_failure_timestamp_seconds 0.0"))
    }

    @Test func `what does not is tried again, then an alarm`() async throws {
        let parts = Parts()
        try await parts.look(.missing("404"))
        try await parts.look(.unreachable("gone"), failures: 1, seconds: 300)
        try await parts.look(.unreadable("500"), failures: 9, seconds: 700)
        try await parts.look(.same, failures: 10, seconds: 760, isAlarm: true)
        #expect(parts.state.told == ["missing", "unreachable", "unreadable, alarm", "passed, next 3600"])
        #expect(["missing", "unreachable", "unreadable", "same"].allSatisfy { parts.count($0) })
        #expect(!parts.registry.text().contains("varve_watch_last_failure_timestamp_seconds 0.0"))
    }

    @Test func `what was deleted is forgotten, and no failure`() async throws {
        let parts = Parts()
        parts.change { $0.standing.isInTrash = true }
        try await parts.look(.missing("404"), failures: 9, seconds: 700)
        #expect(parts.state.told == ["dropped"])
        #expect(parts.count("ended") && !parts.count("missing"))
        #expect(parts.registry.text().contains("varve_watch_last_failure_timestamp_seconds 0.0"))
    }

    @Test func `without the catalog nothing is said, and the look is claimed again`() async throws {
        let parts = Parts()
        let look = WatchLook(id: 1, instance: try .sample(), plannedAgeSeconds: 60, ageSeconds: 61)
        parts.change { $0.due = [look] }
        #expect(await parts.worker.claimed() == [look])
        #expect(await parts.worker.claimed() == [], "it runs")
        parts.change { $0.isAway = true }
        parts.archive.answer.withLockedValue { $0 = .missing("404") }
        await parts.worker.work(on: look)
        #expect(await parts.worker.claimed() == [])
        parts.change { $0.isAway = false }
        #expect(parts.state.told == [] && !parts.count("missing"))
        #expect(await parts.worker.claimed() == [look])
        #expect(parts.state.running == [[], [1], []])
    }

    @Test func `nothing is claimed before there is somewhere to fetch from`() async throws {
        let parts = Parts()
        let look = WatchLook(id: 1, instance: try .sample(), plannedAgeSeconds: 60, ageSeconds: 61)
        parts.change { $0.due = [look] }
        parts.archive.isOpen.withLockedValue { $0 = false }
        #expect(await parts.worker.claimed() == [])
        parts.archive.isOpen.withLockedValue { $0 = true }
        #expect(await parts.worker.claimed() == [look])
    }

    @Test func `only a few are looked at at once`() async throws {
        let parts = Parts()
        let instance = try WatchedInstance.sample()
        parts.change { state in
            state.due = (1...10).map {
                WatchLook(id: $0, instance: instance, plannedAgeSeconds: 60, ageSeconds: 61)
            }
        }
        #expect(await parts.worker.claimed().count == 4)
        #expect(await parts.worker.claimed().isEmpty)
    }

    @Test func `samples wait for the catalog, as many as there is room for`() async throws {
        let parts = Parts()
        let entry = try WatchedInstance.entry()
        for _ in 0..<WatchIntake.limit + 5 { parts.intake.accepted(entry, isNoted: true) }
        parts.change { $0.isAway = true }
        await parts.worker.enterSamples()
        parts.intake.accepted(entry, isNoted: false)
        parts.change { $0.isAway = false }
        await parts.worker.enterSamples()
        let noted = WatchedInstance(entry, isNoted: true)
        #expect(parts.state.entered == Array(repeating: noted, count: WatchIntake.limit))
        #expect(parts.intake.take().isEmpty)

        parts.change { $0.hasRoom = false }
        parts.intake.accepted(entry, isNoted: false)
        await parts.worker.enterSamples()
        #expect(parts.intake.take().isEmpty, "what the catalog has no room for is lost")
        #expect(parts.registry.text().contains("varve_watch_samples_total{outcome=\"lost\"} 1\n"))
    }

    @Test func `what has no digest to compare is not sampled`() throws {
        let intake = WatchIntake(WatchSampler(oneOf: 1, limitPerMinute: .max))
        intake.accepted(
            try WatchedInstance.entry(received: .implicitVRLittleEndian, stored: .jpegLSLossless),
            isNoted: false
        )
        #expect(intake.take().isEmpty)
    }
}
