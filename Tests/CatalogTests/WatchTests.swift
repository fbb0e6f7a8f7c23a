// SPDX-License-Identifier: Apache-2.0

import Catalog
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct WatchTests {
    private static let claim = Duration.seconds(60)

    private func enter(
        _ catalog: Catalog,
        _ instance: Int = 1,
        by name: String = "one",
        age: Duration = .seconds(90),
        limit: Int = 100
    ) async throws -> Bool {
        try await catalog.enterSample(
            WatchedInstance(.sample(instance: instance), isNoted: instance == 2),
            acceptedBy: name,
            age: age,
            firstAgeSeconds: 60,
            limit: limit
        )
    }

    private func looks(
        _ catalog: Catalog,
        by holder: String = "two",
        deference: Duration = .seconds(20),
        except running: [Int64] = [],
        limit: Int = 10
    ) async throws -> [WatchLook] {
        try await catalog.claimLooks(
            by: holder,
            for: Self.claim,
            deference: deference,
            except: running,
            limit: limit
        )
    }

    @Test func `a sample is due at its age, and comes back as it was entered`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            #expect(try await enter(catalog, 1, age: .seconds(90)))
            #expect(try await enter(catalog, 2, age: .seconds(80)))
            #expect(try await enter(catalog, 3, age: .seconds(5)))
            let looks = try await looks(catalog).sorted { $0.id < $1.id }
            #expect(
                looks.map(\.instance) == [
                    WatchedInstance(.sample(instance: 1), isNoted: false),
                    WatchedInstance(.sample(instance: 2), isNoted: true),
                ]
            )
            let first = try #require(looks.first)
            #expect(first.plannedAgeSeconds == 60 && (90...120).contains(first.ageSeconds))
            #expect((first.failureCount, first.failingSeconds, first.isAlarm) == (0, 0, false))
        }
    }

    @Test func `samples are bounded in number`() async throws {
        try await CatalogFixture.with { fixture in
            var entered: [Bool] = []
            for instance in 1...4 { entered.append(try await enter(fixture.catalog, instance, limit: 3)) }
            #expect(entered == [true, true, true, false])
            #expect(try fixture.count("watch_samples") == 3)
        }
    }

    @Test func `what one accepted is left to others for a while`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            _ = try await enter(catalog, by: "one", age: .seconds(65))
            #expect(try await looks(catalog, by: "one") == [])
            #expect(try await looks(catalog, by: "one", deference: .zero).count == 1)
            _ = try fixture.sql("UPDATE watch_samples SET claimed_until = '-infinity', claimed_by = ''")
            #expect(try await looks(catalog, by: "two").count == 1)
        }
    }

    @Test func `a look is its holder's until the claim runs out, then anybody's`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            _ = try await enter(catalog)
            let id = try #require(try await looks(catalog, by: "two").first?.id)
            #expect(try await looks(catalog, by: "three") == [])
            #expect(try await looks(catalog, by: "two", except: [id]) == [])
            // Started again, it has forgotten that it runs.
            #expect(try await looks(catalog, by: "two").map(\.id) == [id])

            _ = try fixture.sql("UPDATE watch_samples SET claimed_until = now() - interval '1 second'")
            #expect(try await looks(catalog, by: "three").map(\.id) == [id])
            // What the first one says does not count any more.
            #expect(try await !catalog.passLook(id, by: "two", nextAgeSeconds: 3_600))
            #expect(try await !catalog.dropSample(id, by: "two"))
            #expect(try await catalog.passLook(id, by: "three", nextAgeSeconds: nil))
            #expect(try fixture.count("watch_samples") == 0)
        }
    }

    @Test func `the next look is due by the time of acceptance`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            _ = try await enter(catalog)
            let id = try #require(try await looks(catalog).first?.id)
            #expect(try await catalog.passLook(id, by: "two", nextAgeSeconds: 3_600))
            let due = "SELECT extract(epoch FROM due_at - accepted_at)::int8, age_seconds FROM watch_samples"
            #expect(try fixture.sql(due) == ["3600|3600"])
            #expect(try await looks(catalog) == [])
        }
    }

    @Test func `failures add up until the instance comes back, and alarms are seen by all`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            func fail(_ id: Int64, isAlarm: Bool) async throws {
                let isNoted = try await catalog.failLook(
                    id,
                    by: "two",
                    as: "missing",
                    note: "answered 404",
                    isAlarm: isAlarm,
                    retryAfter: .seconds(30)
                )
                #expect(isNoted)
            }
            _ = try await enter(catalog)
            let id = try #require(try await looks(catalog).first?.id)
            try await fail(id, isAlarm: false)
            #expect(try await catalog.watchAlarms(limit: 10).isEmpty)
            #expect(try await looks(catalog) == [], "put off")
            _ = try fixture.sql("UPDATE watch_samples SET due_at = now(), failing_since = now() - interval '700 s'")
            let again = try #require(try await looks(catalog).first)
            #expect(again.failureCount == 1 && again.failingSeconds >= 700 && !again.isAlarm)
            try await fail(id, isAlarm: true)
            let alarm = try #require(try await catalog.watchAlarms(limit: 10).first)
            let entry = InstanceEntry.sample()
            #expect(alarm.studyInstanceUID == entry.study.studyInstanceUID && alarm.recordID == entry.recordID)
            #expect((alarm.failure, alarm.note, alarm.failureCount) == ("missing", "answered 404", 2))
            #expect(alarm.failingSinceMilliseconds < alarm.acceptedAtMilliseconds)
            #expect(try await catalog.watchOverview().alarmCount == 1)

            _ = try fixture.sql("UPDATE watch_samples SET due_at = now()")
            #expect(try await looks(catalog).first?.isAlarm == true)
            #expect(try await catalog.passLook(id, by: "two", nextAgeSeconds: 86_400))
            #expect(try await catalog.watchOverview() == WatchOverview(sampleCount: 1))
            #expect(try fixture.sql("SELECT attempts, failing_since, failure FROM watch_samples") == ["0||"])
        }
    }

    @Test func `the overview says for how long the oldest has been due`() async throws {
        try await CatalogFixture.with { fixture in
            #expect(try await fixture.catalog.watchOverview() == WatchOverview())
            _ = try await enter(fixture.catalog, 1, age: .seconds(10))
            #expect(try await fixture.catalog.watchOverview() == WatchOverview(sampleCount: 1))
            _ = try await enter(fixture.catalog, 2, age: .seconds(160))
            let overdue = try await fixture.catalog.watchOverview().overdueSeconds
            #expect((100...160).contains(overdue))
        }
    }

    @Test func `alarms are acknowledged by study, or all, and nothing else is`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            for instance in 1...3 { _ = try await enter(catalog, instance) }
            _ = try fixture.sql(
                """
                UPDATE watch_samples SET alarm_since = now(), failing_since = now()
                WHERE instance_uid <> '\(InstanceEntry.sample(instance: 3).instance.sopInstanceUID)'
                """
            )
            #expect(try await catalog.acknowledgeAlarms(study: "1.2.3", by: "me", reason: "none") == 0)
            #expect(try await catalog.acknowledgeAlarms(study: "", by: "me", reason: "none") == 0)
            let study = InstanceEntry.sample().study.studyInstanceUID
            #expect(try await catalog.acknowledgeAlarms(study: study, by: "me", reason: "seen") == 2)
            _ = try fixture.sql("UPDATE watch_samples SET alarm_since = now()")
            #expect(try await catalog.acknowledgeAlarms(study: nil, by: "you", reason: "all") == 1)
            #expect(try fixture.count("watch_samples") == 0)
            let kept = "SELECT string_agg(acknowledged_by || ' ' || reason || ' ' || samples, ', ' ORDER BY id)"
            #expect(try fixture.sql("\(kept) FROM watch_acknowledgements") == ["me seen 2, you all 1"])
        }
    }
}
