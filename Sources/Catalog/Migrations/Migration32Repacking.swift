// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// What was deleted of a study in packs only leaves these: the rest comes back, and is packed anew.
    ///
    /// docs/decisions/0074-packs-deleted-in-part.md
    static let repacking = Migration(
        version: 32,
        name: "repacking",
        sql: #"""
            -- Whether packs of the study are made anew when this is done. 0: no, 1: yes, 2: that has been looked at.
            ALTER TABLE pack_recalls ADD COLUMN repacks smallint NOT NULL DEFAULT 0;
            CREATE INDEX pack_recalls_repacking ON pack_recalls (id) WHERE repacks = 1;

            -- Whether a part of these was deleted and is run out, and all the rest lives.
            CREATE FUNCTION is_run_out_in_part(records_in uuid[]) RETURNS boolean LANGUAGE sql STABLE AS $$
                SELECT EXISTS (SELECT FROM unnest(records_in) r(record) WHERE is_run_out(r.record))
                    AND EXISTS (SELECT FROM unnest(records_in) r(record) JOIN instances i ON i.record = r.record)
                    AND NOT EXISTS (
                        SELECT FROM unnest(records_in) r(record)
                        WHERE NOT EXISTS (SELECT FROM instances i WHERE i.record = r.record) AND NOT is_run_out(r.record)
                    )
            $$;

            -- How many of these live on no node.
            CREATE FUNCTION count_on_no_node(records_in uuid[]) RETURNS bigint LANGUAGE sql STABLE AS $$
                SELECT count(*) FROM unnest(records_in) r(record) JOIN instances i ON i.record = r.record
                    JOIN placements p ON p.id = i.placement + 0
                WHERE cardinality(p.nodes) = 0
            $$;

            -- Gives up the packs that were deleted in part of studies that have come back for it, and orders moves that pack the
            -- rest; then orders recalls of others, so that at most `most` are under way and wait for no medium.
            --
            -- A study that a person wanted meanwhile stays on the nodes. One whose recall was ended is left alone for a day.
            CREATE FUNCTION repack(mine bigint, most integer, OUT moved integer, OUT recalled integer)
            LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
            DECLARE
                back pack_recalls;
                old record;
                wanted record;
                entered record;
            BEGIN
                PERFORM require_term(mine);
                moved := 0;
                recalled := 0;
                FOR back IN SELECT * FROM pack_recalls r WHERE r.repacks = 1 AND r.state = 2 ORDER BY r.id LIMIT most LOOP
                    -- Nothing is dropped, deleted, given back or recalled meanwhile.
                    PERFORM pg_advisory_xact_lock(\#(deletionLock));
                    CONTINUE WHEN EXISTS (
                        SELECT FROM pack_moves m WHERE m.study_key = back.study_key AND m.state <> 2
                    ) OR EXISTS (
                        SELECT FROM pack_recalls r WHERE r.study_key = back.study_key AND r.state <> 2
                    );
                    UPDATE pack_recalls SET repacks = 2 WHERE id = back.id;
                    CONTINUE WHEN back.urgency < 2 OR is_held_anyhow(back.study_uid);
                    SELECT m.tier, m.place, m.soak_seconds INTO old FROM cold_packs c JOIN pack_moves m ON m.id = c.move
                    WHERE c.study_key = back.study_key AND m.study_uid = back.study_uid AND c.state = 4
                        AND is_run_out_in_part(c.records) AND count_on_no_node(c.records) = 0
                    ORDER BY c.id LIMIT 1;
                    CONTINUE WHEN NOT FOUND;
                    UPDATE cold_packs c SET state = 5, note = 'a part of it was deleted; a pack of the rest is made'
                    FROM pack_moves m
                    WHERE m.id = c.move AND c.study_key = back.study_key AND m.study_uid = back.study_uid AND c.state = 4
                        AND (m.tier, m.place) = (old.tier, old.place)
                        AND is_run_out_in_part(c.records) AND count_on_no_node(c.records) = 0;
                    -- What was on nodes beside its packs stays there.
                    INSERT INTO pack_moves (study_uid, study_key, tier, place, keeps_hot, soak_seconds, requested_by, reason)
                    SELECT back.study_uid, back.study_key, old.tier, old.place, count(*) > back.wanted_instances,
                        old.soak_seconds, 'the coordinator', 'a part of a pack was deleted, and the rest is packed anew'
                    FROM studies t JOIN series e ON e.study = t.id JOIN instances i ON i.series = e.id
                    WHERE t.uid = back.study_uid;
                    moved := moved + 1;
                END LOOP;
                FOR wanted IN
                    SELECT DISTINCT m.study_uid, m.study_key FROM cold_packs c JOIN pack_moves m ON m.id = c.move
                    WHERE c.state = 4 AND m.state = 2 AND EXISTS (
                        SELECT FROM deletions d WHERE d.study_uid = m.study_uid AND d.restored_at IS NULL
                    ) AND NOT EXISTS (
                        SELECT FROM pack_moves o WHERE o.study_key = m.study_key AND o.state <> 2
                    ) AND NOT EXISTS (
                        SELECT FROM pack_recalls r WHERE r.study_key = m.study_key
                            AND (r.state <> 2 OR r.repacks = 1 OR (r.repacks = 2 AND r.done_at > now() - interval '1 day'))
                    ) AND is_run_out_in_part(c.records) AND count_on_no_node(c.records) > 0
                        AND NOT is_held_anyhow(m.study_uid)
                    LIMIT greatest(0, most - (
                        SELECT count(*) FROM pack_recalls r WHERE r.repacks = 1 AND r.state <> 2 AND r.waits_since IS NULL
                    ))
                LOOP
                    SELECT * INTO entered FROM enter_pack_recall(
                        wanted.study_uid, wanted.study_key, 2, 'the coordinator',
                        'a part of a pack was deleted: the rest comes back and is packed anew'
                    );
                    CONTINUE WHEN entered.outcome <> 1;
                    UPDATE pack_recalls SET repacks = 1 WHERE id = entered.found_id;
                    recalled := recalled + 1;
                END LOOP;
            END $$;
            """#
    )

    /// The advisory lock between those who delete and those who enter instances or place holds.
    private static let deletionLock = "130160904267009"  // "varve" in ASCII, and 1
}
