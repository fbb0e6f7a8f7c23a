// SPDX-License-Identifier: Apache-2.0

public import Checksums
import NIOCore
public import Placement

/// What the coordinator in office reads and writes to move studies into packs: everything that changes something under its
/// term. Safe to repeat, all of it.
extension Catalog {
    /// The moves that can be worked on now, the one that has waited longest first; at most `limit`.
    public func dueMoves(limit: Int) async throws(CatalogError) -> [PackMove] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.dueMoves, [.int4(Int32(clamping: limit))], deadline: deadline).rows
                .compactMap { PackMove(row: $0) }
        }
    }

    /// The packs of a move that were not given up, part by part.
    public func packs(ofMove move: Int64) async throws(CatalogError) -> [ColdPack] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.packsOfMove, [.int8(move)], deadline: deadline).rows
                .compactMap { ColdPack(row: $0) }
        }
    }

    /// The records of the move's study that are in no pack of its tier, series by series.
    public func movableRecords(of move: Int64) async throws(CatalogError) -> [MovableRecord] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.movableRecords, [.int8(move)], deadline: deadline).rows.compactMap { row in
                row.recordID(0).map { MovableRecord(record: $0, byteCount: Int64(row.int(1) ?? 0)) }
            }
        }
    }

    /// Plans the packs of a move, unless it has some already; the ids are random, in two halves.
    public func planPacks(
        _ packs: [(high: UInt64, low: UInt64, records: [RecordID])],
        ofMove move: Int64,
        createdAtMilliseconds: Int64,
        term: Term
    ) async throws(CatalogError) {
        let records = packs.flatMap(\.records)
        let numbers = packs.enumerated().flatMap { number, pack in
            [Int64](repeating: Int64(number) + 1, count: pack.records.count)
        }
        let ids = packs.map { NodeID(high: $0.high, low: $0.low) }
        try await changePacks(
            Self.planPacks,
            [.term(term), .int8(move), .nodes(ids), .int8(createdAtMilliseconds), .records(records), .int8s(numbers)]
        )
    }

    /// The records of a pack in the order in which they lie.
    public func records(ofPack pack: ColdPack) async throws(CatalogError) -> [RecordID] {
        let id = PostgresValue.uuid(high: pack.idHigh, low: pack.idLow)
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.recordsOfPack, [id], deadline: deadline).first?.recordIDs(0) ?? []
        }
    }

    /// Where the records of a pack are now; records that the archive has no more are in none.
    public func sources(ofPack pack: ColdPack) async throws(CatalogError) -> [PackSource] {
        let id = PostgresValue.uuid(high: pack.idHigh, low: pack.idLow)
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.packSources, [id], deadline: deadline).rows.map { row in
                PackSource(
                    nodes: row.nodeIDs(0),
                    instanceCount: row.int(1) ?? 0,
                    byteCount: Int64(row.int(2) ?? 0)
                )
            }
        }
    }

    /// Notes that a pack is durable in its store.
    public func noteBuilt(
        _ pack: ColdPack,
        byteCount: Int64,
        digest: SHA256Digest,
        by node: NodeID,
        term: Term
    ) async throws(CatalogError) {
        try await changePacks(
            Self.noteBuilt,
            [
                .term(term), .uuid(high: pack.idHigh, low: pack.idLow), .int8(byteCount), .bytes(digest.bytes),
                .node(node),
            ]
        )
    }

    /// Notes that all of a pack was read by a node, and is sound.
    public func noteSound(_ pack: ColdPack, by node: NodeID? = nil, term: Term) async throws(CatalogError) {
        try await changePacks(
            Self.noteSound,
            [
                .term(term), .uuid(high: pack.idHigh, low: pack.idLow), .bytes(pack.digest?.bytes),
                node.map { .node($0) } ?? PostgresValue(type: PostgresValue.OID.uuid, bytes: nil),
            ]
        )
    }

    /// Gives a pack up, and plans one of the same records under another id, as far as the archive has them.
    ///
    /// False when it has the only copies of something: then it is kept, and in doubt.
    @discardableResult
    public func replace(
        _ pack: ColdPack,
        byHigh high: UInt64,
        low: UInt64,
        createdAtMilliseconds: Int64,
        note: String,
        term: Term
    ) async throws(CatalogError) -> Bool {
        let values: [PostgresValue] = [
            .term(term), .uuid(high: pack.idHigh, low: pack.idLow), .uuid(high: high, low: low),
            .int8(createdAtMilliseconds), .text(StoredText.clean(note)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.giveUpPack, values, deadline: deadline).first?.bool(0) ?? true
        }
    }

    /// From now on the packs of the move are read from, all of which were read back.
    ///
    /// `takesOver`: so are those that earlier moves made of what nodes have copies of; they stand and are read again as its own.
    public func countPacks(ofMove move: Int64, takesOver: Bool = false, term: Term) async throws(CatalogError) {
        try await changePacks(Self.countPacks, [.term(term), .int8(move), .bool(takesOver)])
    }

    /// The move is done.
    public func finish(move: Int64, note: String, term: Term) async throws(CatalogError) {
        try await changePacks(Self.finishMove, [.term(term), .int8(move), .text(StoredText.clean(note))])
    }

    /// Puts a move off, or leaves it to a person when `delay` is `nil`.
    public func postpone(
        move: Int64,
        by delay: Duration?,
        attempts: Int,
        note: String,
        term: Term
    ) async throws(CatalogError) {
        let milliseconds = delay.map { max(0, $0.components.seconds * 1000) } ?? -1
        try await changePacks(
            Self.postponeMove,
            [
                .term(term), .int8(move), .int8(milliseconds), .int4(Int32(clamping: attempts)),
                .text(StoredText.clean(note)),
            ]
        )
    }

    /// Takes moves up again whose packs were last read before `age`, or are in doubt, at most `limit`; says how many.
    ///
    /// Those of studies that are moved anyway are left for later.
    public func recheckPacks(olderThan age: Duration, limit: Int, term: Term) async throws(CatalogError) -> Int {
        let values: [PostgresValue] = [
            .term(term), .int8(age.components.seconds * 1000), .int4(Int32(clamping: limit)),
        ]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.recheckPacks, values, deadline: deadline).first?.int(0) ?? 0
        }
    }

    private func changePacks(
        _ statement: PreparedStatement,
        _ values: [PostgresValue]
    ) async throws(CatalogError) {
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(statement, values, deadline: deadline).rowCount
        }
    }
}

extension Catalog {
    private static let dueMoves = PreparedStatement(
        "due_moves",
        """
        SELECT \(PackMove.columns) FROM pack_moves m WHERE m.state = 1 AND m.due_at <= now()
            AND (m.soaks_until IS NULL OR m.soaks_until <= now() OR EXISTS (
                SELECT FROM cold_packs c WHERE c.move = m.id AND (c.state < 4 OR (c.state = 4 AND c.verified_at IS NULL))
            ))
        ORDER BY m.due_at, m.id LIMIT $1::int4
        """
    )

    private static let packsOfMove = PreparedStatement(
        "packs_of_move",
        """
        SELECT \(ColdPack.columns) FROM cold_packs c JOIN pack_moves m ON m.id = c.move
        WHERE c.move = $1 AND c.state < 5 ORDER BY c.part
        """
    )

    private static let movableRecords = PreparedStatement(
        "movable_records",
        "SELECT found_record, found_bytes FROM movable_records($1)"
    )

    private static let planPacks = PreparedStatement("plan_packs", "SELECT plan_packs($1, $2, $3, $4, $5, $6)")

    private static let recordsOfPack = PreparedStatement(
        "records_of_pack",
        "SELECT records FROM cold_packs WHERE id = $1"
    )

    private static let packSources = PreparedStatement(
        "pack_sources",
        "SELECT found_nodes, found_count, found_bytes FROM pack_sources($1)"
    )

    private static let noteBuilt = PreparedStatement("note_built_pack", "SELECT note_built_pack($1, $2, $3, $4, $5)")

    private static let noteSound = PreparedStatement("note_sound_pack", "SELECT note_sound_pack($1, $2, $3, $4)")

    private static let giveUpPack = PreparedStatement("give_up_pack", "SELECT give_up_pack($1, $2, $3, $4, $5)")

    private static let countPacks = PreparedStatement("count_packs", "SELECT count_packs($1, $2, $3)")

    private static let finishMove = PreparedStatement("finish_move", "SELECT finish_move($1, $2, $3)")

    private static let recheckPacks = PreparedStatement("recheck_packs", "SELECT recheck_packs($1, $2, $3)")

    private static let postponeMove = PreparedStatement("postpone_move", "SELECT postpone_move($1, $2, $3, $4, $5)")
}
