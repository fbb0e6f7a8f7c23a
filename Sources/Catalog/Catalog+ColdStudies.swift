// SPDX-License-Identifier: Apache-2.0

import NIOCore
public import Placement

/// What operators and readers ask of cold packs.
extension Catalog {
    /// Enters the wish that a study go into packs of a tier, whose store is at `place`.
    public func enterMove(
        ofStudy study: String,
        tier: String,
        place: String,
        keepsHot: Bool,
        soak: Duration,
        requestedBy: String,
        reason: String
    ) async throws(CatalogError) -> EnteredMove {
        guard let key = RecordID.range(studyInstanceUID: study)?.lowerBound else { return .noSuchStudy }
        let values: [PostgresValue] = [
            .text(study), .record(key), .text(tier), .text(place), .bool(keepsHot), .int8(soak.components.seconds),
            .text(StoredText.clean(requestedBy)), .text(StoredText.clean(reason)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            guard let row = try connection.query(Self.enterMove, values, deadline: deadline).first else {
                throw PostgresFailure(kind: .unexpected, message: "a move was not entered, and not refused")
            }
            let id = Int64(row.int(0) ?? 0)
            switch row.int(1) {
            case 1: return .entered(id)
            case 2: return .underWay(id)
            case 3: return .otherMove(id)
            case 5: return .beingRecalled(id)
            default: return .noSuchStudy
            }
        }
    }

    /// Ends the move of a study that is under way or needs a person; its number, or nil when there is none.
    ///
    /// Packs that are read from already stay.
    public func cancelMove(ofStudy study: String, note: String) async throws(CatalogError) -> Int64? {
        guard let key = RecordID.range(studyInstanceUID: study)?.lowerBound else { return nil }
        let values: [PostgresValue] = [.text(study), .record(key), .text(StoredText.clean(note))]
        return try await perform(.once) { connection, deadline throws(PostgresFailure) in
            let id = try connection.query(Self.cancelMove, values, deadline: deadline).first?.int(0) ?? 0
            return id > 0 ? Int64(id) : nil
        }
    }

    /// The packs of a study, the last first, also those that were given up.
    public func packs(ofStudy study: String) async throws(CatalogError) -> [ColdPack] {
        guard let key = RecordID.range(studyInstanceUID: study)?.lowerBound else { return [] }
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            // Studies share a key once in a trillion times.
            try connection.query(Self.packsOfStudy, [.record(key), .text(study)], deadline: deadline).rows
                .compactMap { ColdPack(row: $0) }
        }
    }

    /// The moves of a study, the last first.
    public func moves(ofStudy study: String) async throws(CatalogError) -> [PackMove] {
        guard let key = RecordID.range(studyInstanceUID: study)?.lowerBound else { return [] }
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.movesOfStudy, [.record(key), .text(study)], deadline: deadline).rows
                .compactMap { PackMove(row: $0) }
        }
    }

    /// The moves that have not ended, those that need a person first; at most `limit`.
    public func openMoves(limit: Int) async throws(CatalogError) -> [PackMove] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.openMoves, [.int4(Int32(clamping: limit))], deadline: deadline).rows
                .compactMap { PackMove(row: $0) }
        }
    }

    /// The packs that a record can be read from and where in them it lies, the one that was read back last first.
    public func packs(holding record: RecordID) async throws(CatalogError) -> [ColdPack] {
        let values: [PostgresValue] = [.record(record.firstOfStudy), .record(record)]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.packsHolding, values, deadline: deadline).rows.compactMap { row in
                var pack = ColdPack(row: row)
                pack?.recordPlace = row.bytes(ColdPack.columnCount)
                return pack
            }
        }
    }

    /// Notes that a pack could not be read from as it should be; the coordinator has all of it read then.
    public func doubt(_ pack: ColdPack, note: String) async throws(CatalogError) {
        let values: [PostgresValue] = [.uuid(high: pack.idHigh, low: pack.idLow), .text(StoredText.clean(note))]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.doubtPack, values, deadline: deadline).rowCount
        }
    }

    /// What there is in packs, tier by tier.
    public func tierTotals() async throws(CatalogError) -> [TierTotals] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.tierTotals, [], deadline: deadline).rows.map { row in
                TierTotals(
                    tier: row.text(0),
                    place: row.text(1),
                    packCount: row.int(2) ?? 0,
                    studyCount: row.int(3) ?? 0,
                    byteCount: Int64(row.int(4) ?? 0),
                    oldestVerifiedAtMilliseconds: row.int(5).map(Int64.init),
                    movesUnderWay: row.int(6) ?? 0,
                    movesNeedingPerson: row.int(7) ?? 0,
                    offlineCount: row.int(8) ?? 0
                )
            }
        }
    }

    /// Has packs known by another name of their store, which has to be the same one.
    ///
    /// How many moves had the old name. So many are renamed at once that a statement of an archive of millions ends in time.
    public func rename(place: String, to new: String) async throws(CatalogError) -> Int {
        guard place != new else { return 0 }
        let values: [PostgresValue] = [.text(place), .text(new), .int4(Self.renamesAtOnce)]
        var total = 0
        while true {
            let count = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
                try connection.query(Self.renamePlace, values, deadline: deadline).first?.int(0) ?? 0
            }
            total += count
            guard count > 0 else { return total }
        }
    }

    private static let renamesAtOnce: Int32 = 10_000

    private static let renamePlace = PreparedStatement(
        "rename_pack_place",
        """
        WITH renamed AS (
            UPDATE pack_moves SET place = $2 WHERE id IN (SELECT id FROM pack_moves WHERE place = $1 LIMIT $3::int4)
            RETURNING id
        ) SELECT count(*) FROM renamed
        """
    )

    private static let enterMove = PreparedStatement(
        "enter_pack_move",
        "SELECT found_id, outcome FROM enter_pack_move($1, $2, $3, $4, $5, $6, $7, $8)"
    )

    private static let cancelMove = PreparedStatement("cancel_pack_move", "SELECT cancel_pack_move($1, $2, $3)")

    private static let packsOfStudy = PreparedStatement(
        "packs_of_study",
        """
        SELECT \(ColdPack.columns) FROM cold_packs c JOIN pack_moves m ON m.id = c.move
        WHERE c.study_key = $1 AND m.study_uid = $2 ORDER BY c.move DESC, c.part, c.created_at DESC, c.id
        """
    )

    private static let movesOfStudy = PreparedStatement(
        "moves_of_study",
        "SELECT \(PackMove.columns) FROM pack_moves m WHERE m.study_key = $1 AND m.study_uid = $2 ORDER BY m.id DESC"
    )

    private static let openMoves = PreparedStatement(
        "open_moves",
        "SELECT \(PackMove.columns) FROM pack_moves m WHERE m.state <> 2 ORDER BY m.state = 3 DESC, m.id LIMIT $1::int4"
    )

    private static let packsHolding = PreparedStatement(
        "packs_holding",
        """
        SELECT \(ColdPack.columns), substr(c.places, (array_position(c.records, $2) - 1) * 32 + 1, 32)
        FROM cold_packs c JOIN pack_moves m ON m.id = c.move
        WHERE c.study_key = $1 AND c.state = 4 AND $2 = ANY (c.records)
        ORDER BY c.verified_at DESC NULLS LAST, c.id
        """
    )

    private static let doubtPack = PreparedStatement("doubt_pack", "SELECT doubt_pack($1, $2)")

    private static let tierTotals = PreparedStatement(
        "tier_totals",
        """
        SELECT m.tier, m.place, count(c.id), count(DISTINCT c.study_key), coalesce(sum(c.byte_count), 0)::int8,
            (extract(epoch FROM min(coalesce(c.verified_at, 'epoch')) FILTER (WHERE c.id IS NOT NULL)) * 1000)::int8,
            count(DISTINCT m.id) FILTER (WHERE m.state IN (1, 4)), count(DISTINCT m.id) FILTER (WHERE m.state = 3),
            count(c.id) FILTER (WHERE \(ColdPack.isOffline))
        FROM pack_moves m LEFT JOIN cold_packs c ON c.move = m.id AND c.state = 4
        GROUP BY m.tier, m.place ORDER BY m.tier, m.place
        """
    )
}

extension ColdPack {
    /// Whether it was found to be on a medium that is not at hand, and was not read whole since.
    static let isOffline = "c.offline_since IS NOT NULL AND (c.verified_at IS NULL OR c.offline_since > c.verified_at)"

    static let columnCount = 17
    static let columns = """
        c.id, c.move, m.tier, m.place, m.study_uid, c.part, c.parts, c.state, c.created_at, c.byte_count, c.digest,
        (extract(epoch FROM c.written_at) * 1000)::int8, (extract(epoch FROM c.verified_at) * 1000)::int8,
        c.verified_at IS NOT NULL AND (m.soaks_until IS NULL OR c.verified_at >= m.soaks_until),
        cardinality(c.records), c.note, c.written_by
        """

    init?(row: PostgresResult.Row) {
        guard let id = row.nodeID(0), let move = row.int(1), let state = row.int(7).flatMap(State.init) else {
            return nil
        }
        self.init(
            idHigh: id.high,
            idLow: id.low,
            move: Int64(move),
            tier: row.text(2),
            place: row.text(3),
            studyInstanceUID: row.text(4),
            part: row.int(5) ?? 1,
            partCount: row.int(6) ?? 1,
            state: state,
            createdAtMilliseconds: Int64(row.int(8) ?? 0),
            byteCount: Int64(row.int(9) ?? 0),
            digest: row.digest(10),
            writtenAtMilliseconds: row.int(11).map(Int64.init),
            writer: row.nodeID(16),
            verifiedAtMilliseconds: row.int(12).map(Int64.init),
            isVerifiedAgain: row.bool(13),
            instanceCount: row.int(14) ?? 0,
            note: row.text(15)
        )
    }
}

extension PackMove {
    static let columns = """
        m.id, m.study_uid, m.tier, m.place, m.keeps_hot, m.state, m.attempts,
        (extract(epoch FROM m.soaks_until - now()) * 1000)::int8, (extract(epoch FROM m.requested_at) * 1000)::int8,
        m.requested_by, m.reason, (extract(epoch FROM m.done_at) * 1000)::int8, m.note,
        NOT m.keeps_hot AND NOT m.is_settled AND m.done_at IS NULL
        """

    init?(row: PostgresResult.Row) {
        guard let id = row.int(0), let state = row.int(5).flatMap(State.init) else { return nil }
        self.init(
            id: Int64(id),
            studyInstanceUID: row.text(1),
            tier: row.text(2),
            place: row.text(3),
            keepsHot: row.bool(4),
            state: state,
            attemptCount: row.int(6) ?? 0,
            soakLeft: row.int(7).map { .milliseconds($0) },
            requestedAtMilliseconds: Int64(row.int(8) ?? 0),
            requestedBy: row.text(9),
            reason: row.text(10),
            doneAtMilliseconds: row.int(11).map(Int64.init),
            note: row.text(12),
            drops: row.bool(13)
        )
    }
}
