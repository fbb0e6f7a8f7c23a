// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import Placement

/// What the coordinator in office reads and writes to have studies come back from packs: everything that changes something under
/// its term. Safe to repeat, all of it.
extension Catalog {
    /// The recalls that can be worked on now, the most urgent first, of these the one that has waited longest; at most `limit`.
    public func dueRecalls(limit: Int) async throws(CatalogError) -> [StudyRecall] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.dueRecalls, [.int4(Int32(clamping: limit))], deadline: deadline).rows
                .compactMap { StudyRecall(row: $0) }
        }
    }

    /// What of a recall's study is in packs only yet, with the packs it can be read from: the one that was read whole last first.
    public func recallableRecords(of recall: Int64) async throws(CatalogError) -> [RecallableRecord] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.recallableRecords, [.int8(recall)], deadline: deadline).rows.compactMap { row in
                row.recordID(0).map { record in
                    RecallableRecord(
                        record: record,
                        byteCount: Int64(row.int(1) ?? 0),
                        pack: row.nodeID(2).map { RecallableRecord.Pack(high: $0.high, low: $0.low) },
                        dropping: row.nodeIDs(3)
                    )
                }
            }
        }
    }

    /// Counts what has come back; what has copies already, or is gone, is left as it is.
    public func countRecalled(
        _ records: [RecalledRecord],
        ofRecall recall: Int64,
        term: Term
    ) async throws(CatalogError) -> CountedRecall {
        let values: [PostgresValue] = [
            .term(term), .int8(recall), .records(records.map(\.record)), .int8s(records.map { Int64($0.placement) }),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let count = try connection.query(Self.countRecall, values, deadline: deadline).first?.int(0) ?? 0
            return count < 0 ? .ended : .counted(count)
        }
    }

    /// The recall is done, unless something of the study is in packs only yet: then false.
    public func finish(recall: Int64, note: String, term: Term) async throws(CatalogError) -> Bool {
        let values: [PostgresValue] = [.term(term), .int8(recall), .text(StoredText.clean(note))]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.finishRecall, values, deadline: deadline).first?.bool(0) ?? false
        }
    }

    /// Puts a recall off, or leaves it to a person when `delay` is `nil`.
    public func postpone(
        recall: Int64,
        by delay: Duration?,
        attempts: Int,
        note: String,
        term: Term
    ) async throws(CatalogError) {
        let milliseconds = delay.map { max(0, $0.components.seconds * 1000) } ?? -1
        let values: [PostgresValue] = [
            .term(term), .int8(recall), .int8(milliseconds), .int4(Int32(clamping: attempts)),
            .text(StoredText.clean(note)),
        ]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.postponeRecall, values, deadline: deadline).rowCount
        }
    }

    /// Has a recall wait until media are there: an eighth of the time that it has waited, within `pauses`.
    public func waitForMedia(
        recall: Int64,
        packs: [RecallableRecord.Pack],
        pauses: ClosedRange<Duration>,
        note: String,
        term: Term
    ) async throws(CatalogError) {
        let values: [PostgresValue] = [
            .term(term), .int8(recall), .nodes(packs.map { NodeID(high: $0.high, low: $0.low) }),
            .int8(pauses.lowerBound.components.seconds * 1000), .int8(pauses.upperBound.components.seconds * 1000),
            .text(StoredText.clean(note)),
        ]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.waitForMedia, values, deadline: deadline).rowCount
        }
    }

    /// Notes whether a pack is on a medium that is not at hand; what is read whole later is at hand, too.
    public func note(_ pack: ColdPack, isOffline: Bool) async throws(CatalogError) {
        let values: [PostgresValue] = [.uuid(high: pack.idHigh, low: pack.idLow), .bool(isOffline)]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.noteOffline, values, deadline: deadline).rowCount
        }
    }

    private static let waitForMedia = PreparedStatement(
        "recall_waits_for_media",
        "SELECT recall_waits_for_media($1, $2, $3, $4, $5, $6)"
    )

    private static let noteOffline = PreparedStatement("note_offline_pack", "SELECT note_offline_pack($1, $2)")

    private static let dueRecalls = PreparedStatement(
        "due_recalls",
        """
        SELECT \(StudyRecall.columns) FROM pack_recalls r WHERE r.state = 1 AND r.due_at <= now()
        ORDER BY r.urgency, r.due_at, r.id LIMIT $1::int4
        """
    )

    private static let recallableRecords = PreparedStatement(
        "recall_records",
        "SELECT found_record, found_bytes, found_pack, found_dropping FROM recall_records($1)"
    )

    private static let countRecall = PreparedStatement("count_recall", "SELECT count_recall($1, $2, $3, $4)")

    private static let finishRecall = PreparedStatement("finish_recall", "SELECT finish_recall($1, $2, $3)")

    private static let postponeRecall = PreparedStatement(
        "postpone_recall",
        "SELECT postpone_recall($1, $2, $3, $4, $5)"
    )
}
