// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// Which codec a series is stored with.
    ///
    /// A table of its own: the choice is made before the first instance of the series is entered, and only where
    /// the policy leaves one.
    static let seriesCodecs = Migration(
        version: 4,
        name: "series codecs",
        sql: """
            CREATE TABLE series_codecs (
                decided_at bigint NOT NULL,  -- milliseconds since 1970
                series_uid text COLLATE "C" NOT NULL,
                -- What the choice holds for: the policy's codec class, and the images' kind.
                scope text COLLATE "C" NOT NULL,
                codec text COLLATE "C" NOT NULL,
                note text COLLATE "C" NOT NULL,
                PRIMARY KEY (series_uid, scope)
            );
            """
    )
}
