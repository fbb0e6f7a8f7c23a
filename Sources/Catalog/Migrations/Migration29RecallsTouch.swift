// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// A study that came back from packs is looked at by the rules: it may have to go again.
    static let recallsTouch = Migration(
        version: 29,
        name: "recalls touch",
        sql: #"""
            CREATE FUNCTION touch_recalled() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN
                INSERT INTO lifecycle_touched (study) SELECT t.id FROM studies t WHERE t.uid = NEW.study_uid;
                RETURN NULL;
            END $$;
            CREATE TRIGGER touch_recalled AFTER UPDATE OF state ON pack_recalls
                FOR EACH ROW WHEN (NEW.state = 2 AND OLD.state <> 2) EXECUTE FUNCTION touch_recalled();
            """#
    )
}
