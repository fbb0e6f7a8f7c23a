// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// Where in their packs records lie, so that the first image of a cold study is read without the manifest before it.
    ///
    /// docs/decisions/0071-places-of-records.md
    static let recordPlaces = Migration(
        version: 28,
        name: "places of records",
        sql: #"""
            ALTER TABLE cold_packs
                ADD COLUMN places bytea,  -- 32 bytes a record, in the order of `records`; NULL: not looked for yet
                ADD COLUMN places_sought_at timestamptz NOT NULL DEFAULT '-infinity';
            -- Single places are taken out of it.
            ALTER TABLE cold_packs ALTER places SET STORAGE EXTERNAL;
            CREATE INDEX cold_packs_unplaced ON cold_packs (places_sought_at) WHERE state = 4 AND places IS NULL;

            -- Nobody reads from a pack in another state.
            CREATE FUNCTION forget_places() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                NEW.places := NULL;
                NEW.places_sought_at := '-infinity';
                RETURN NEW;
            END $$;
            CREATE TRIGGER forget_places BEFORE UPDATE OF state ON cold_packs
                FOR EACH ROW WHEN (OLD.state = 4 AND NEW.state <> 4) EXECUTE FUNCTION forget_places();
            """#
    )
}
