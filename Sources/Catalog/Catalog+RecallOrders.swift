// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Placement

/// What operators and readers ask of recalls.
extension Catalog {
    /// Enters the wish that what is in packs only of a study come back to the storage nodes.
    ///
    /// When a person wants it, a move of the study that is open ends.
    public func enterRecall(
        ofStudy study: String,
        urgency: StudyRecall.Urgency,
        requestedBy: String,
        reason: String
    ) async throws(CatalogError) -> EnteredRecall {
        guard let key = RecordID.range(studyInstanceUID: study)?.lowerBound else { return .noSuchStudy }
        let values: [PostgresValue] = [
            .text(study), .record(key), .int4(Int32(urgency.rawValue)), .text(StoredText.clean(requestedBy)),
            .text(StoredText.clean(reason)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            guard let row = try connection.query(Self.enterRecall, values, deadline: deadline).first else {
                throw PostgresFailure(kind: .unexpected, message: "a recall was not entered, and not refused")
            }
            let id = Int64(row.int(0) ?? 0)
            switch row.int(1) {
            case 1: return .entered(id)
            case 2: return .underWay(id)
            case 3: return .nothingToDo
            case 5: return .beingMoved
            default: return .noSuchStudy
            }
        }
    }

    /// Ends the recall of a study that is under way or needs a person; its number, or nil when there is none.
    ///
    /// What has come back stays.
    public func cancelRecall(ofStudy study: String, note: String) async throws(CatalogError) -> Int64? {
        guard let key = RecordID.range(studyInstanceUID: study)?.lowerBound else { return nil }
        let values: [PostgresValue] = [.text(study), .record(key), .text(StoredText.clean(note))]
        return try await perform(.once) { connection, deadline throws(PostgresFailure) in
            let id = try connection.query(Self.cancelRecall, values, deadline: deadline).first?.int(0) ?? 0
            return id > 0 ? Int64(id) : nil
        }
    }

    /// The recalls of a study, the last first.
    public func recalls(ofStudy study: String) async throws(CatalogError) -> [StudyRecall] {
        guard let key = RecordID.range(studyInstanceUID: study)?.lowerBound else { return [] }
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.recallsOfStudy, [.record(key), .text(study)], deadline: deadline).rows
                .compactMap { StudyRecall(row: $0) }
        }
    }

    /// The recalls that have not ended, those that need a person first, then the urgent ones; at most `limit`.
    public func openRecalls(limit: Int) async throws(CatalogError) -> [StudyRecall] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.openRecalls, [.int4(Int32(clamping: limit))], deadline: deadline).rows
                .compactMap { StudyRecall(row: $0) }
        }
    }

    /// How many recalls there are, and how long they take.
    public func recallTotals() async throws(CatalogError) -> RecallTotals {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            guard let row = try connection.query(Self.recallTotals, [], deadline: deadline).first else {
                throw PostgresFailure(kind: .unexpected, message: "the catalog has no totals of recalls")
            }
            return RecallTotals(
                underWay: row.int(0) ?? 0,
                waitingForMedia: row.int(7) ?? 0,
                needingPerson: row.int(1) ?? 0,
                done: row.int(2) ?? 0,
                instanceCount: row.int(3) ?? 0,
                byteCount: Int64(row.int(4) ?? 0),
                oldestOpenAtMilliseconds: row.int(5).map(Int64.init),
                longestSeconds: row.int(6).map { Double($0) / 1000 }
            )
        }
    }

    private static let enterRecall = PreparedStatement(
        "enter_pack_recall",
        "SELECT found_id, outcome FROM enter_pack_recall($1, $2, $3, $4, $5)"
    )

    private static let cancelRecall = PreparedStatement("cancel_pack_recall", "SELECT cancel_pack_recall($1, $2, $3)")

    private static let recallsOfStudy = PreparedStatement(
        "recalls_of_study",
        """
        SELECT \(StudyRecall.columns) FROM pack_recalls r WHERE r.study_key = $1 AND r.study_uid = $2 ORDER BY r.id DESC
        """
    )

    private static let openRecalls = PreparedStatement(
        "open_recalls",
        """
        SELECT \(StudyRecall.columns) FROM pack_recalls r WHERE r.state <> 2
        ORDER BY r.state DESC, r.urgency, r.id LIMIT $1::int4
        """
    )

    private static let recallTotals = PreparedStatement(
        "recall_totals",
        """
        SELECT count(*) FILTER (WHERE r.state = 1 AND r.waits_since IS NULL), count(*) FILTER (WHERE r.state = 3),
            count(*) FILTER (WHERE r.state = 2), coalesce(sum(r.instances), 0)::int8, coalesce(sum(r.bytes), 0)::int8,
            (extract(epoch FROM min(r.requested_at) FILTER (WHERE r.state <> 2)) * 1000)::int8,
            (extract(epoch FROM max(r.done_at - r.requested_at)
                FILTER (WHERE r.state = 2 AND r.done_at > now() - interval '1 hour')) * 1000)::int8,
            count(*) FILTER (WHERE r.state = 1 AND r.waits_since IS NOT NULL)
        FROM pack_recalls r
        """
    )
}

extension StudyRecall {
    static let columns = """
        r.id, r.study_uid, r.urgency, r.state, r.attempts, (extract(epoch FROM r.requested_at) * 1000)::int8,
        r.requested_by, r.reason, r.wanted_instances, r.wanted_bytes, r.instances, r.bytes,
        (extract(epoch FROM r.started_at) * 1000)::int8, (extract(epoch FROM r.done_at) * 1000)::int8, r.note,
        CASE WHEN r.state = 1 THEN (extract(epoch FROM r.waits_since) * 1000)::int8 END,
        CASE WHEN r.state = 1 AND r.waits_since IS NOT NULL THEN (
            SELECT string_agg(c.id::text || ' ' || m.place, E'\\n' ORDER BY c.id) FROM cold_packs c
                JOIN pack_moves m ON m.id = c.move WHERE c.id = ANY (r.waits_for)
        ) END
        """

    init?(row: PostgresResult.Row) {
        guard let id = row.int(0), let urgency = row.int(2).flatMap(Urgency.init),
            let state = row.int(3).flatMap(State.init)
        else { return nil }
        self.init(
            id: Int64(id),
            studyInstanceUID: row.text(1),
            urgency: urgency,
            state: state,
            attemptCount: row.int(4) ?? 0,
            requestedAtMilliseconds: Int64(row.int(5) ?? 0),
            requestedBy: row.text(6),
            reason: row.text(7),
            wantedInstanceCount: row.int(8) ?? 0,
            wantedByteCount: Int64(row.int(9) ?? 0),
            instanceCount: row.int(10) ?? 0,
            byteCount: Int64(row.int(11) ?? 0),
            startedAtMilliseconds: row.int(12).map(Int64.init),
            doneAtMilliseconds: row.int(13).map(Int64.init),
            note: row.text(14),
            waitsSinceMilliseconds: row.int(15).map(Int64.init),
            wantedPacks: row.text(16).split(separator: "\n").compactMap { line in
                let words = line.split(separator: " ", maxSplits: 1)
                guard words.count == 2, let pack = NodeID(String(words[0])) else { return nil }
                return WantedPack(pack: pack, place: String(words[1]))
            }
        )
    }
}
