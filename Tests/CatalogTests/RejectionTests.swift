// SPDX-License-Identifier: Apache-2.0

import Catalog
import Placement
import Testing

@Suite(.enabled(if: PostgresServer.isInstalled, "Postgres is not installed"))
struct RejectionTests {
    private static let members = CatalogFixture.nodes.map(\.id)
    private static let noteClass = "1.2.840.10008.5.1.4.1.1.88.59"
    /// After the schema was made, by any clock.
    private static let later: Int64 = 4_000_000_000_000

    private static func uid(_ path: String) -> String { "1.2.826.0.1.3680043.9.\(path)" }

    private static func reference(_ path: String) -> (study: String, series: String, instance: String) {
        let parts = path.split(separator: ".")
        return (uid("\(parts[0])"), uid(parts[0...1].joined(separator: ".")), uid(path))
    }

    /// Studies 1 and 2, with instances 1 to 3 of one series each.
    private static func fill(_ catalog: Catalog) async throws {
        for study in ["1", "2"] {
            for instance in 1...3 {
                #expect(try await catalog.commit(.sample(study: study, instance: instance)) == .committed)
            }
        }
    }

    /// Stores a document as an instance of series 9 of a study.
    private static func storeNote(
        _ catalog: Catalog,
        study: String = "1",
        instance: Int = 1,
        receivedAt: Int64 = later
    ) async throws {
        var entry = InstanceEntry.sample(study: study, series: "9", instance: instance)
        entry.instance.sopClassUID = noteClass
        entry.receivedAtMilliseconds = receivedAt
        #expect(try await catalog.commit(entry) == .committed)
    }

    private static func rejection(_ paths: [String], awaits: Bool = true) -> Rejection {
        Rejection(
            title: "113001",
            reason: "Rejected for Quality Reasons (113001, DCM)",
            awaitsInstances: awaits,
            references: paths.map(reference)
        )
    }

    /// Stores a note, and files it as one to be acted on or not.
    @discardableResult
    private static func note(
        _ catalog: Catalog,
        _ paths: [String],
        instance: Int = 1,
        awaits: Bool = true,
        isApproved: Bool = true
    ) async throws -> Int64 {
        try await storeNote(catalog, instance: instance)
        let claimed = try await catalog.claimRejectionNotes(for: .zero, limit: 10).filter { $0.state == .unread }
        let note = try #require(claimed.first)
        #expect(try await catalog.file(rejection(paths, awaits: awaits), ofNote: note.id, isApproved: isApproved))
        return note.id
    }

    private static func act(_ catalog: Catalog, _ note: Int64) async throws -> RejectionOutcome {
        try await catalog.actOnRejectionNote(note, issuedAtMilliseconds: 1_700_000_000_000)
    }

    private static func found(_ catalog: Catalog, _ study: String = "1") async throws -> Int {
        try await catalog.instances(study: uid(study)).filter { $0.instance.sopClassUID != noteClass }.count
    }

    /// Takes back all that was deleted of a study, as the coordinator would.
    private static func undelete(_ catalog: Catalog, _ study: String = "1") async throws {
        let request = DeletionRequest(requestedBy: "", reason: "", issuedAtMilliseconds: 0, reference: (1, 1))
        #expect(try await catalog.takeFromTrash(study: uid(study), request) > 0)
        let term = try #require(try await catalog.acquireLease(holder: "one", duration: .seconds(60)))
        let orders = try await catalog.openTrashOrders(term: term, members: members, looksBack: false, limit: 100)
        for order in orders where order.kind == .undelete {
            let records = try await catalog.records(ofDeletion: order.deletion, after: nil, limit: 1000)
            #expect(try await catalog.restore(records, ofDeletion: order.deletion, term: term) == 0)
        }
    }

    private static func only(_ catalog: Catalog) async throws -> RejectionNote {
        let notes = try await catalog.rejectionNotes(all: true, limit: 10)
        #expect(notes.count == 1)
        return try #require(notes.first)
    }

    @Test func `a note retires what it names, once, and says who and why`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            let note = try await Self.note(catalog, ["1.1.1", "1.1.2", "2.1.3"])
            #expect(try await Self.act(catalog, note) == .retired(3))
            #expect(try await Self.act(catalog, note) == .retired(0))
            #expect(try await Self.found(catalog) == 1)
            #expect(try await Self.found(catalog, "2") == 2)
            let deletions = try await catalog.deletions(limit: 10)
            #expect(deletions.map(\.subject.study).sorted() == [Self.uid("1"), Self.uid("2")])
            #expect(deletions.map(\.instanceCount).sorted() == [1, 2])
            #expect(deletions.allSatisfy { $0.deletion.reason.contains("Quality") })
            #expect(deletions.allSatisfy { $0.deletion.requestedBy.hasPrefix("rejection note from ") })
            let kept = try await Self.only(catalog)
            #expect((kept.state, kept.namedCount, kept.retiredCount, kept.awaitedCount) == (.inForce, 3, 3, 0))
            #expect(try await catalog.rejectionNotes(limit: 10).isEmpty)
            // Sent again, they are refused as all that is in the trash.
            #expect(try await catalog.commit(.sample()) != .committed)
            #expect(try fixture.count("rejection_arrivals") == 0)
        }
    }

    @Test func `a study goes with its last instance, and comes back`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            let note = try await Self.note(catalog, ["2.1.1", "2.1.2", "2.1.3"])
            #expect(try await Self.act(catalog, note) == .retired(3))
            #expect(try await catalog.study(Self.uid("2")) == nil)
            try await Self.undelete(catalog, "2")
            #expect(try await Self.found(catalog, "2") == 3)
            // And the note does not strike again.
            #expect(try fixture.count("rejection_arrivals") == 0)
            #expect(try await Self.act(catalog, note) == .retired(0))
            #expect(try await Self.found(catalog, "2") == 3)
        }
    }

    @Test func `what comes after the note is retired then`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            let note = try await Self.note(catalog, ["1.1.1", "1.1.2"])
            #expect(try await Self.act(catalog, note) == .retired(0))
            #expect(try await Self.only(catalog).awaitedCount == 2)
            #expect(try await catalog.claimRejectionNotes(for: .zero, limit: 10).isEmpty)
            for instance in 1...3 { _ = try await catalog.commit(.sample(instance: instance)) }
            #expect(try await catalog.claimRejectionNotes(for: .seconds(60), limit: 10).map(\.id) == [note])
            #expect(try await catalog.claimRejectionNotes(for: .seconds(60), limit: 10).isEmpty)
            #expect(try await Self.act(catalog, note) == .retired(2))
            #expect(try await Self.found(catalog) == 1)
            #expect(try await catalog.claimRejectionNotes(for: .zero, limit: 10).isEmpty)
            try await Self.undelete(catalog)
            #expect(try await catalog.claimRejectionNotes(for: .zero, limit: 10).isEmpty)
            #expect(try await Self.found(catalog) == 3)
        }
    }

    @Test func `a note of expired retention does not wait for what is not here`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            _ = try await catalog.commit(.sample(instance: 1))
            let note = try await Self.note(catalog, ["1.1.1", "1.1.2"], awaits: false)
            #expect(try await Self.act(catalog, note) == .retired(1))
            #expect(try await catalog.commit(.sample(instance: 2)) == .committed)
            #expect(try await catalog.claimRejectionNotes(for: .zero, limit: 10).isEmpty)
            #expect(try await Self.act(catalog, note) == .retired(0))
            #expect(try await Self.found(catalog) == 1)
        }
    }

    @Test func `what is in the trash already is not struck when it comes back`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            let first = try await Self.note(catalog, ["1.1.1"])
            #expect(try await Self.act(catalog, first) == .retired(1))
            let second = try await Self.note(catalog, ["1.1.1", "1.1.2"], instance: 2)
            #expect(try await Self.act(catalog, second) == .retired(1))
            try await Self.undelete(catalog)
            #expect(try await Self.act(catalog, second) == .retired(0))
            #expect(try await Self.found(catalog) == 3)
        }
    }

    @Test func `a hold keeps all of a note from being acted on until it is released`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            let hold = try #require(
                try await catalog.placeHold(
                    on: .studies([Self.uid("2")], query: ""),
                    name: "n",
                    reason: "r",
                    placedBy: ""
                )
            )
            let note = try await Self.note(catalog, ["1.1.1", "2.1.1"])
            #expect(try await Self.act(catalog, note) == .held(hold))
            #expect(try fixture.count("instances") == 7 && fixture.count("deletions") == 0)
            try await catalog.putOffRejectionNote(note, for: .seconds(60), obstacle: "held")
            #expect(try await catalog.claimRejectionNotes(for: .zero, limit: 10).isEmpty)
            #expect(try await catalog.rejectionNotes(limit: 10).map(\.obstacle) == ["held"])
            try await catalog.putOffRejectionNote(note, for: .zero, obstacle: "held")
            #expect(try await catalog.releaseHold(hold, reason: "r", releasedBy: ""))
            #expect(try await catalog.claimRejectionNotes(for: .zero, limit: 10).map(\.id) == [note])
            #expect(try await Self.act(catalog, note) == .retired(2))
            #expect(try await Self.only(catalog).obstacle.isEmpty)
        }
    }

    @Test func `without an approval nothing follows, and a dismissed note is done with`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            let first = try await Self.note(catalog, ["1.1.1"], isApproved: false)
            #expect(try await Self.act(catalog, first) == .notWanted)
            #expect(try await catalog.claimRejectionNotes(for: .zero, limit: 10).isEmpty)
            func decide(_ note: Int64, _ approves: Bool) async throws -> Bool {
                try await catalog.decideRejectionNote(note, approves: approves, reason: "why", decidedBy: "me")
            }
            #expect(try await decide(first, true))
            #expect(try await !decide(first, true))
            #expect(try await catalog.claimRejectionNotes(for: .zero, limit: 10).map(\.decidedBy) == ["me"])
            #expect(try await Self.act(catalog, first) == .retired(1))
            #expect(try await catalog.deletions(limit: 1).first?.deletion.requestedBy == "me")
            let second = try await Self.note(catalog, ["1.1.2", "1.1.7"], instance: 2)
            #expect(try await decide(second, false))
            #expect(try await !decide(second, false))
            #expect(try await Self.act(catalog, second) == .notWanted)
            _ = try await catalog.commit(.sample(instance: 7))
            #expect(try await catalog.claimRejectionNotes(for: .zero, limit: 10).isEmpty)
            #expect(try await Self.found(catalog) == 3)
            #expect(try await catalog.rejectionNoteCounts() == [.inForce: 1, .dismissed: 1])
        }
    }

    @Test(arguments: [("1.1.1", "2", "1.1"), ("1.1.1", "1", "1.2")])
    func `an instance under another study or series is another`(
        instance: String,
        study: String,
        series: String
    ) async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            let note = try await Self.note(catalog, [], isApproved: false)
            #expect(try await catalog.decideRejectionNote(note, approves: true, reason: "r", decidedBy: "me"))
            let values = "\(note), '\(Self.uid(study))', '\(Self.uid(series))', '\(Self.uid(instance))'"
            _ = try fixture.sql(
                "INSERT INTO rejected_instances (note, study_uid, series_uid, instance_uid) VALUES (\(values))"
            )
            #expect(try await Self.act(catalog, note) == .retired(0))
            #expect(try await Self.found(catalog) == 3)
        }
    }

    @Test func `documents from before, and a note's reference to itself, reject nothing`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.storeNote(catalog, instance: 5, receivedAt: 1_000)
            #expect(try await catalog.claimRejectionNotes(for: .zero, limit: 10).isEmpty)
            let note = try await Self.note(catalog, ["1.9.1"])
            #expect(try await Self.act(catalog, note) == .retired(0))
            #expect(try fixture.count("rejected_instances") == 0 && fixture.count("instances") == 2)
        }
    }

    @Test func `a document that rejects nothing is forgotten, one in disorder can be read again`()
        async throws
    {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.storeNote(catalog)
            let first = try #require(try await catalog.claimRejectionNotes(for: .zero, limit: 10).first)
            #expect((first.sender.isEmpty, first.state) == (false, .unread))
            try await catalog.forgetRejectionNote(first.id)
            #expect(try fixture.count("rejection_notes") == 0)
            try await Self.storeNote(catalog, instance: 2)
            let second = try #require(try await catalog.claimRejectionNotes(for: .zero, limit: 10).first)
            try await catalog.putOffRejectionNote(second.id, for: nil, obstacle: "no title")
            #expect(try await catalog.claimRejectionNotes(for: .zero, limit: 10).isEmpty)
            let listed = try await Self.only(catalog)
            #expect((listed.state, listed.obstacle) == (.unreadable, "no title"))
            #expect(try await catalog.decideRejectionNote(second.id, approves: true, reason: "r", decidedBy: "me"))
            #expect(try await catalog.claimRejectionNotes(for: .zero, limit: 10).map(\.state) == [.unread])
        }
    }

    @Test func `a note that was undeleted does not strike again`() async throws {
        try await CatalogFixture.with { fixture in
            let catalog = fixture.catalog
            try await Self.fill(catalog)
            let note = try await Self.note(catalog, ["2.1.1"])
            #expect(try await Self.act(catalog, note) == .retired(1))
            try await Self.undelete(catalog, "2")
            let whole = DeletionSubject(study: Self.uid("1"))
            let request = DeletionRequest(requestedBy: "", reason: "", issuedAtMilliseconds: 0, reference: (9, 9))
            #expect(try await catalog.moveToTrash(whole, request) == 4)
            try await Self.undelete(catalog)
            #expect(try await catalog.claimRejectionNotes(for: .zero, limit: 10).isEmpty)
            #expect(try await Self.found(catalog, "2") == 3)
        }
    }
}
