// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct LifecycleActsTests {
    private static func uid(_ study: String) -> String { "1.2.826.0.1.3680043.9.\(study)" }

    /// Studies of three patients, a rule set, and a term.
    private static func filled(_ fixture: CatalogFixture, studies: Int = 3) async throws -> Term {
        let catalog = fixture.catalog
        for study in 1...studies {
            _ = try await catalog.commit(.sample(study: "\(study)", patientID: "P\(study)"))
        }
        while try await catalog.collectFacts() {}
        _ = try await catalog.loadRuleSet("rules", replacing: 0, loadedBy: "me", reason: "a test")
        return try #require(try await catalog.acquireLease(holder: "a", duration: .seconds(600)))
    }

    private static func ids(_ catalog: Catalog) async throws -> [Int64] {
        try await catalog.studyFacts(after: 0).rows.map(\.study)
    }

    private static func decision(
        _ study: Int64,
        policy: Int = 1,
        due: Int? = nil,
        expires: Bool = true,
        packs: Bool = false
    ) -> StudyDecision {
        StudyDecision(study: study, policy: policy, rule: 0, nextDue: due, expires: expires, wantsPacks: packs)
    }

    /// All studies are judged to expire, the rules act, and marks need not stand.
    private static func ready(_ fixture: CatalogFixture, limit: Int64 = 10, studies: Int = 3) async throws -> Term {
        let catalog = fixture.catalog
        let term = try await filled(fixture, studies: studies)
        let touched = try await catalog.touchedStudies(limit: 1_000)
        try await catalog.enter(
            try await ids(catalog).map { decision($0) },
            version: 1,
            day: 20_000,
            notes: touched.notes,
            term: term
        )
        let isEnabled = try await catalog.enableActs(
            version: 1,
            waitMilliseconds: 0,
            limit: limit,
            by: "me",
            reason: "a test"
        )
        #expect(isEnabled)
        return term
    }

    private static func expire(
        _ catalog: Catalog,
        _ study: String,
        _ term: Term,
        quiet: Int64 = 86_400_000,
        reference: UInt64 = .random(in: 1...UInt64.max)
    ) async throws -> ExpiryOutcome {
        try await catalog.expire(
            uid(study),
            rule: "old",
            graceDays: 90,
            quietMilliseconds: quiet,
            version: 1,
            DeletionRequest(
                requestedBy: "rule old of version 1",
                reason: "study-age: over 10 years",
                issuedAtMilliseconds: 0,
                reference: (7, reference)
            ),
            term: term
        )
    }

    @Test func `a pass goes on where it was, under the next term, and a term that is over enters nothing`() async throws
    {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let term = try await Self.filled(fixture)
            #expect(try await catalog.beginPass(version: 1, term: term) == 0)
            let ids = try await Self.ids(catalog)
            try await catalog.enter([Self.decision(ids[0])], version: 1, day: 1, cursor: ids[0], term: term)
            try await catalog.releaseLease(holder: "a", term: term)
            let next = try #require(try await catalog.acquireLease(holder: "b", duration: .seconds(600)))
            for attempt in [
                { () async throws(CatalogError) in try await catalog.enter([], version: 1, day: 1, term: term) },
                { () async throws(CatalogError) in _ = try await catalog.beginPass(version: 1, term: term) },
                { () async throws(CatalogError) in try await catalog.noteRound(begins: true, term: term) },
            ] as [@Sendable () async throws -> Void] {
                let error = await #expect(throws: CatalogError.self) { try await attempt() }
                #expect(error?.code == .staleTerm)
            }
            #expect(try await catalog.beginPass(version: 1, term: next) == ids[0])
            let rest = ids.dropFirst().map { Self.decision($0) }
            try await catalog.enter(rest, version: 1, day: 1, cursor: ids[2], ends: true, term: next)
            let acts = try await catalog.lifecycleActs()
            #expect((acts.version, acts.judgedVersion, acts.roundStudyCount) == (1, 1, 3))
            #expect(acts.roundFinishedAtMilliseconds != nil && !acts.isActing)

            // The next version begins anew; what it does not meet is forgotten.
            _ = try await catalog.loadRuleSet("others", replacing: 1, loadedBy: "me", reason: "a test")
            #expect(try await catalog.beginPass(version: 2, term: next) == 0)
            try await catalog.enter([Self.decision(ids[1])], version: 2, day: 1, cursor: ids[1], ends: true, term: next)
            #expect(try fixture.count("lifecycle_decisions") == 1)
        }
    }

    @Test func `what rules decide by leaves notes when it changes`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let term = try await Self.filled(fixture)
            let ids = try await Self.ids(catalog)
            func touched() async throws -> [Int64] {
                while try await catalog.collectFacts() {}
                let found = try await catalog.touchedStudies(limit: 1_000)
                try await catalog.enter([], version: 1, day: 1, notes: found.notes, term: term)
                return found.studies
            }
            #expect(try await touched() == ids)
            #expect(try await touched() == [])
            _ = try await catalog.commit(.sample(study: "2", instance: 2, patientID: "P2"))
            #expect(try await touched() == [ids[1]])
            try await catalog.noteAccess([Self.uid("1"): 1_800_000_000_000])
            #expect(try await touched() == [ids[0]])
            _ = try await catalog.changeTags(ofStudy: Self.uid("3"), adding: ["kept"], removing: [], by: "me")
            #expect(try await touched() == [ids[2]])
            _ = try await catalog.changeTags(ofStudy: Self.uid("3"), adding: [], removing: ["kept"], by: "me")
            #expect(try await touched() == [ids[2]])
            let holds = [
                (HoldSubject.patient(id: "P1", issuer: nil), ids[0]),
                (HoldSubject.studies([Self.uid("2")], query: ""), ids[1]),
            ]
            for (subject, study) in holds {
                let number = try #require(
                    try await catalog.placeHold(on: subject, name: "a", reason: "b", placedBy: "me")
                )
                #expect(try await touched() == [study])
                #expect(try await catalog.releaseHold(number, reason: "c", releasedBy: "me"))
                #expect(try await touched() == [study])
            }
        }
    }

    @Test func `studies are due on their day and not before`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let term = try await Self.filled(fixture)
            let ids = try await Self.ids(catalog)
            let decisions = zip(ids, [20_010, nil, 20_005]).map { Self.decision($0, due: $1, expires: false) }
            try await catalog.enter(decisions, version: 1, day: 20_000, term: term)
            #expect(try await catalog.dueStudies(on: 20_004, limit: 10) == [])
            #expect(try await catalog.dueStudies(on: 20_005, limit: 10) == [ids[2]])
            #expect(try await catalog.dueStudies(on: 20_010, limit: 10) == [ids[2], ids[0]])
            #expect(try await catalog.dueStudies(on: 20_010, limit: 1) == [ids[2]])
            let kept = try #require(try await catalog.decision(ofStudy: Self.uid("1")))
            #expect((kept.version, kept.since, kept.decision.nextDue) == (1, 20_000, 20_010))
            // The same again is as old as before, another is new.
            try await catalog.enter([Self.decision(ids[0], expires: false)], version: 1, day: 20_020, term: term)
            #expect(try await catalog.decision(ofStudy: Self.uid("1"))?.since == 20_000)
            try await catalog.enter([Self.decision(ids[0], policy: 2)], version: 1, day: 20_030, term: term)
            #expect(try await catalog.decision(ofStudy: Self.uid("1"))?.since == 20_030)
        }
    }

    @Test func `a study that expires is in the trash with the rule, the reason and its grace`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let term = try await Self.ready(fixture)
            #expect(try await catalog.expirableStudies(version: 1, limit: 10).count == 3)
            #expect(try await Self.expire(catalog, "1", term, reference: 5) == .expired(1))
            #expect(try await Self.expire(catalog, "1", term, reference: 5) == .expired(1), "the same again")
            #expect(try await Self.expire(catalog, "1", term) == .refused(.noSuchStudy))
            let deletion = try #require(try await catalog.deletions(limit: 10).first)
            #expect(deletion.deletion.requestedBy == "rule old of version 1")
            #expect(deletion.deletion.reason == "study-age: over 10 years")
            let kept = try fixture.sql("SELECT rule || ' ' || rule_version || ' ' || grace_days FROM deletions")
            #expect(kept == ["old 1 90"])
            #expect(try await catalog.lifecycleActs().expiredToday == 1)
            #expect(try await catalog.markedStudies(limit: 10).count == 2)
        }
    }

    @Test func `a mark stands for as long as was said, from when the rules were enabled`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let term = try await Self.ready(fixture)
            #expect(
                try await catalog.enableActs(
                    version: 1,
                    waitMilliseconds: 3_600_000,
                    limit: 10,
                    by: "me",
                    reason: "longer"
                )
            )
            #expect(try await catalog.expirableStudies(version: 1, limit: 10) == [])
            #expect(try await Self.expire(catalog, "1", term) == .refused(.notMarkedLongEnough))
            // Marked long ago: what counts is when they were enabled.
            _ = try fixture.sql("UPDATE lifecycle_decisions SET marked_at = 0")
            #expect(try await Self.expire(catalog, "1", term) == .refused(.notMarkedLongEnough))
            _ = try fixture.sql("UPDATE lifecycle_acts SET enabled_at = now() - interval '61 minutes'")
            #expect(try await catalog.expirableStudies(version: 1, limit: 10).count == 3)
            #expect(try await Self.expire(catalog, "1", term) == .expired(1))
            // A decision that does not expire takes the mark away; marked again it begins anew.
            let study = try #require(try await catalog.markedStudies(limit: 1).first?.decision.study)
            try await catalog.enter([Self.decision(study, expires: false)], version: 1, day: 1, term: term)
            #expect(try await catalog.markedStudies(limit: 10).count == 1)
            try await catalog.enter([Self.decision(study)], version: 1, day: 1, term: term)
            #expect(try await catalog.expirableStudies(version: 1, limit: 10).count == 1)
        }
    }

    @Test(arguments: [
        ExpiryOutcome.Refusal.held, .receivedLately, .changedMeanwhile, .isMoved, .notActing, .takenBackBefore,
    ])
    func `nothing expires of what changed between the mark and the removal`(why: ExpiryOutcome.Refusal) async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let term = try await Self.ready(fixture)
            let study = Self.uid("1")
            func done() async throws {
                while try await catalog.collectFacts() {}
                let notes = try await catalog.touchedStudies(limit: 1_000).notes
                try await catalog.enter([], version: 1, day: 1, notes: notes, term: term)
            }
            switch why {
            case .held:
                _ = try await catalog.placeHold(
                    on: .patient(id: "P1", issuer: nil),
                    name: "a",
                    reason: "b",
                    placedBy: "c"
                )
                try await done()
            case .receivedLately:
                _ = try fixture.sql("UPDATE instances SET received_at = (extract(epoch FROM now()) * 1000)::int8")
            case .changedMeanwhile: _ = try await catalog.commit(.sample(study: "1", instance: 2))
            case .isMoved:
                _ = try await catalog.enterMove(
                    ofStudy: study,
                    tier: "cold",
                    place: "file:///cold",
                    keepsHot: true,
                    soak: .seconds(1),
                    requestedBy: "me",
                    reason: "a test"
                )
            case .notActing: try await catalog.pauseActs(true, by: "me", reason: "a mistake")
            case .takenBackBefore:
                _ = try fixture.sql(
                    """
                    INSERT INTO deletions (level, instance_count, study_uid, series_uid, instance_uid, restored_at,
                        rule, rule_version) VALUES (1, 1, '\(study)', '', '', now(), 'old', 1)
                    """
                )
            default: break
            }
            #expect(try await Self.expire(catalog, "1", term) == .refused(why))
            #expect(try await catalog.study(study) != nil)
            #expect(try await catalog.deletions(limit: 10).isEmpty)
        }
    }

    @Test func `no more expire in a day than may, until somebody enables the rules again`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let term = try await Self.ready(fixture, limit: 1)
            #expect(try await Self.expire(catalog, "1", term) == .expired(1))
            #expect(try await Self.expire(catalog, "2", term) == .refused(.limitReached))
            #expect(try await !catalog.lifecycleActs().alarm.isEmpty)
            #expect(try await catalog.expirableStudies(version: 1, limit: 10) == [])
            #expect(try await Self.expire(catalog, "2", term) == .refused(.notActing))
            // Not the next day either.
            _ = try fixture.sql("UPDATE lifecycle_acts SET expired_day = 'epoch'")
            #expect(try await Self.expire(catalog, "2", term) == .refused(.notActing))
            #expect(try await catalog.enableActs(version: 1, waitMilliseconds: 0, limit: 1, by: "me", reason: "seen"))
            #expect(try await Self.expire(catalog, "2", term) == .expired(1))
        }
    }

    @Test func `a version that was loaded later does not act, and the one before does no more`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let term = try await Self.ready(fixture)
            _ = try await catalog.loadRuleSet("others", replacing: 1, loadedBy: "me", reason: "a test")
            #expect(try await !catalog.lifecycleActs().isActing)
            #expect(try await Self.expire(catalog, "1", term) == .refused(.notActing))
            #expect(try await !catalog.enableActs(version: 1, waitMilliseconds: 0, limit: 1, by: "me", reason: "late"))
        }
    }

    @Test func `moves are ordered by rules while few are open, and not while rules are paused`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let term = try await Self.ready(fixture)
            let ids = try await Self.ids(catalog)
            let wishes = ids.map { Self.decision($0, expires: false, packs: true) }
            try await catalog.enter(wishes, version: 1, day: 1, term: term)
            func order(_ study: String, _ term: Term) async throws -> RuleMoveOutcome {
                try await catalog.orderMove(
                    ofStudy: Self.uid(study),
                    tier: "cold",
                    place: "file:///cold",
                    keepsHot: true,
                    soak: .seconds(86_400),
                    rule: ("rule old of version 1", "policy archive"),
                    version: 1,
                    mostAtOnce: 2,
                    term: term
                )
            }
            #expect(try await catalog.movableStudies(version: 1, limit: 10).count == 3)
            #expect(try await catalog.instancesMissing(inTier: "cold", ofStudy: Self.uid("1")) == 1)
            #expect(try await order("1", term) == .ordered)
            #expect(try await order("1", term) == .underWay)
            #expect(try await order("2", term) == .ordered)
            #expect(try await order("3", term) == .full)
            let move = try #require(try await catalog.moves(ofStudy: Self.uid("1")).first)
            #expect((move.requestedBy, move.reason) == ("rule old of version 1", "policy archive"))
            try await catalog.lookAgain(at: ids[0], after: .seconds(3_600), term: term)
            try await catalog.lookAgain(at: ids[1], after: nil, term: term)
            #expect(try await catalog.movableStudies(version: 1, limit: 10).map(\.decision.study) == [ids[2]])
            // Packs that stand do not count.
            _ = try fixture.sql("UPDATE pack_moves SET soaks_until = now() + interval '7 days'")
            try await catalog.pauseActs(true, by: "me", reason: "a test")
            #expect(try await order("3", term) == .notActing)
            #expect(try await catalog.movableStudies(version: 1, limit: 10) == [])
            try await catalog.pauseActs(false, by: "me", reason: "a test")
            #expect(try await order("3", term) == .ordered)
        }
    }
}
