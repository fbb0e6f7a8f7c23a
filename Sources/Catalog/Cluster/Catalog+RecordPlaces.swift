// SPDX-License-Identifier: Apache-2.0

public import NIOCore
public import Placement

/// Where records lie in their packs: what ingest nodes have read of manifests, kept for the first image of a cold study.
extension Catalog {
    /// Packs that are read from and of which nobody has written down where their records lie, with these; at most `limit`.
    ///
    /// Nobody else is given them for an hour.
    public func packsWithoutPlaces(limit: Int) async throws(CatalogError) -> [(pack: ColdPack, records: [RecordID])] {
        try await perform(.once) { connection, deadline throws(PostgresFailure) in
            let rows = try connection.query(Self.seekPlaces, [.int4(Int32(clamping: limit))], deadline: deadline).rows
            return rows.compactMap { row in
                ColdPack(row: row).map { ($0, row.recordIDs(ColdPack.columnCount)) }
            }
        }
    }

    /// Writes down where the records of a pack lie, 32 bytes each (`PackFormat.RecordPlace`) in the order in which the pack has them.
    ///
    /// What is not for all of them is not kept, nor what is of a pack that is not read from any more.
    public func enterPlaces(_ places: ByteBuffer, of pack: ColdPack) async throws(CatalogError) {
        let values: [PostgresValue] = [
            .uuid(high: pack.idHigh, low: pack.idLow), .bytes(Array(places.readableBytesView)),
        ]
        _ = try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.enterPlaces, values, deadline: deadline).rowCount
        }
    }

    /// The stores of the last moves, as URLs: those that are read from, most likely.
    public func placesOfLastMoves(limit: Int) async throws(CatalogError) -> [String] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(Self.lastPlaces, [.int4(Int32(clamping: limit))], deadline: deadline).rows
                .map { $0.text(0) }
        }
    }

    private static let lastPlaces = PreparedStatement(
        "places_of_last_moves",
        "SELECT DISTINCT m.place FROM (SELECT place FROM pack_moves ORDER BY id DESC LIMIT $1::int4) m"
    )

    private static let seekPlaces = PreparedStatement(
        "seek_places",
        """
        WITH found AS MATERIALIZED (
            SELECT id FROM cold_packs
            WHERE state = 4 AND places IS NULL AND places_sought_at < now() - interval '1 hour'
            ORDER BY places_sought_at LIMIT $1::int4 FOR UPDATE SKIP LOCKED
        ), c AS (
            UPDATE cold_packs p SET places_sought_at = now() FROM found f WHERE p.id = f.id RETURNING p.*
        )
        SELECT \(ColdPack.columns), c.records FROM c JOIN pack_moves m ON m.id = c.move
        """
    )

    private static let enterPlaces = PreparedStatement(
        "enter_places",
        """
        UPDATE cold_packs SET places = $2::bytea
        WHERE id = $1 AND state = 4 AND octet_length($2::bytea) = 32 * cardinality(records)
        """
    )
}
