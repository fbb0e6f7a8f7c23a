// SPDX-License-Identifier: Apache-2.0

/// The codec that a series is stored with, and how it was chosen.
public struct SeriesCodec: Sendable, Hashable {
    /// Series Instance UID (0020,000E).
    public var seriesInstanceUID: String
    /// What the choice holds for, in the words of who chose: the policy's class and the images' kind.
    public var scope: String
    /// The codec, in the words of who chose.
    public var codec: String
    /// How it was chosen, for people: the candidates and their sizes.
    public var note: String
    /// Milliseconds since 1970.
    public var decidedAtMilliseconds: Int64

    public init(
        seriesInstanceUID: String,
        scope: String,
        codec: String,
        note: String,
        decidedAtMilliseconds: Int64
    ) {
        self.seriesInstanceUID = seriesInstanceUID
        self.scope = scope
        self.codec = codec
        self.note = note
        self.decidedAtMilliseconds = decidedAtMilliseconds
    }
}

extension Catalog {
    /// The choice that was recorded for a series and scope; nil when there is none.
    public func seriesCodec(_ seriesInstanceUID: String, scope: String) async throws(CatalogError) -> SeriesCodec? {
        let parameters = [PostgresValue.text(seriesInstanceUID), .text(scope)]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(SeriesCodec.find, parameters, deadline: deadline).first.map { SeriesCodec(row: $0) }
        }
    }

    /// All choices recorded for a study's series, for people.
    public func seriesCodecs(ofStudy studyInstanceUID: String) async throws(CatalogError) -> [SeriesCodec] {
        let parameters = [PostgresValue.text(studyInstanceUID)]
        return try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            try connection.query(SeriesCodec.ofStudy, parameters, deadline: deadline).rows.map { SeriesCodec(row: $0) }
        }
    }

    /// Records a choice unless there is one already: the first stays.
    public func record(_ choice: SeriesCodec) async throws(CatalogError) {
        let parameters = [
            PostgresValue.text(choice.seriesInstanceUID), .text(choice.scope), .text(choice.codec), .text(choice.note),
            .int8(choice.decidedAtMilliseconds),
        ]
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            _ = try connection.query(SeriesCodec.insert, parameters, deadline: deadline)
        }
    }
}

extension SeriesCodec {
    fileprivate static let find = PreparedStatement(
        "series_codec",
        "SELECT series_uid, scope, codec, note, decided_at FROM series_codecs WHERE series_uid = $1 AND scope = $2"
    )

    fileprivate static let ofStudy = PreparedStatement(
        "series_codecs_of_study",
        """
        SELECT c.series_uid, c.scope, c.codec, c.note, c.decided_at
        FROM studies t JOIN series e ON e.study = t.id JOIN series_codecs c ON c.series_uid = e.uid
        WHERE t.uid = $1 ORDER BY c.series_uid, c.scope
        """
    )

    fileprivate static let insert = PreparedStatement(
        "record_series_codec",
        """
        INSERT INTO series_codecs (series_uid, scope, codec, note, decided_at) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT DO NOTHING
        """
    )

    fileprivate init(row: PostgresResult.Row) {
        self.init(
            seriesInstanceUID: row.text(0),
            scope: row.text(1),
            codec: row.text(2),
            note: row.text(3),
            decidedAtMilliseconds: Int64(row.int(4) ?? 0)
        )
    }
}
