// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// What was deleted of a study in packs only leaves these: the rest comes back, and is packed anew.
    ///
    /// docs/decisions/0074-packs-deleted-in-part.md
    static let repacking = Migration(
        version: 32,
        name: "repacking",
        sql: deletedInPart + rewriting + repack
    )

    /// The advisory lock between those who delete and those who enter instances or place holds.
    private static let deletionLock = "130160904267009"  // "varve" in ASCII, and 1

    private static let deletedInPart = #"""
        -- Whether packs of the study are made anew when this is done. 0: no, 1: yes, 2: that has been looked at.
        ALTER TABLE pack_recalls ADD COLUMN repacks smallint NOT NULL DEFAULT 0;
        CREATE INDEX pack_recalls_repacking ON pack_recalls (id) WHERE repacks = 1;

        -- Those of a pack of a study that were deleted, and their time in the trash is over. What was deleted stays known for
        -- ever, and most of it has left its packs: this asks the trash, and not for each record of a pack.
        CREATE FUNCTION run_out_of_pack(study_in text, records_in uuid[]) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
            SELECT t.record FROM (
                SELECT x.record FROM deletions d JOIN trashed_instances x ON x.deletion = d.id
                WHERE d.study_uid = study_in AND d.restored_at IS NULL
                INTERSECT
                SELECT unnest(records_in)
            ) t WHERE is_run_out(t.record)
        $$;

        -- Whether a part of a pack is that, and all the rest lives.
        CREATE FUNCTION is_run_out_in_part(study_in text, records_in uuid[]) RETURNS boolean LANGUAGE sql STABLE AS $$
            SELECT EXISTS (SELECT FROM run_out_of_pack(study_in, records_in))
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

        -- As before; of thousands of records at once, as stores may wait for it.
        CREATE OR REPLACE FUNCTION may_remove_pack(pack_in uuid, kind_in integer) RETURNS boolean LANGUAGE sql STABLE AS $$
            SELECT EXISTS (
                SELECT FROM cold_packs c JOIN pack_moves m ON m.id = c.move
                WHERE c.id = pack_in AND c.state = CASE kind_in WHEN 1 THEN 4 WHEN 2 THEN 5 END
                    AND NOT is_held_anyhow(m.study_uid) AND NOT EXISTS (
                        SELECT FROM records_beyond(c.records, ARRAY(
                            SELECT o.id FROM cold_packs o
                            WHERE kind_in = 2 AND o.study_key = c.study_key AND o.state = 4 AND o.verified_at IS NOT NULL
                        )) r(record)
                        WHERE NOT is_run_out(r.record) AND (kind_in = 1 OR NOT EXISTS (
                            SELECT FROM instances i JOIN placements p ON p.id = i.placement + 0
                            WHERE i.record = r.record AND cardinality(p.nodes) > 0
                        ))
                    )
            )
        $$;

        """#

    private static let rewriting = #"""
        -- As before, but not of a study that is on its way back; and what is asked is asked of all records of a pack at once.
        CREATE OR REPLACE FUNCTION rewrite_pack(mine bigint, new_id uuid, created_in bigint) RETURNS boolean
        LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        DECLARE
            old cold_packs;
            study text;
        BEGIN
            PERFORM require_term(mine);
            SELECT c.* INTO old FROM cold_packs c JOIN pack_moves m ON m.id = c.move
            WHERE c.state = 4 AND m.state = 2 AND EXISTS (
                SELECT FROM deletions d WHERE d.study_uid = m.study_uid AND d.restored_at IS NULL
            ) AND NOT EXISTS (SELECT FROM pack_moves o WHERE o.study_key = m.study_key AND o.state <> 2)
                AND NOT EXISTS (
                    SELECT FROM pack_recalls r WHERE r.study_key = m.study_key AND (r.state <> 2 OR r.repacks = 1)
                )
                AND is_run_out_in_part(m.study_uid, c.records) AND count_on_no_node(c.records) = 0
                AND NOT is_held_anyhow(m.study_uid)
            LIMIT 1;
            IF NOT FOUND THEN
                RETURN false;
            END IF;
            -- Nothing is dropped or deleted meanwhile.
            PERFORM pg_advisory_xact_lock(\#(deletionLock));
            SELECT m.study_uid INTO study FROM pack_moves m WHERE m.id = old.move;
            UPDATE cold_packs c SET state = 5, note = 'a part of it was deleted; a pack of the rest is made'
            WHERE c.id = old.id AND c.state = 4
                AND is_run_out_in_part(study, c.records) AND count_on_no_node(c.records) = 0;
            IF NOT FOUND THEN
                RETURN false;
            END IF;
            INSERT INTO cold_packs (id, study_key, move, created_at, part, parts, records)
            SELECT new_id, old.study_key, old.move, created_in, old.part, old.parts, array_agg(u.record ORDER BY u.position)
            FROM unnest(old.records) WITH ORDINALITY AS u(record, position)
            WHERE EXISTS (SELECT FROM instances i WHERE i.record = u.record);
            UPDATE pack_moves m SET state = 1, attempts = 0, due_at = now(), note = 'a part of a pack was deleted'
            WHERE m.id = old.move AND m.state = 2;
            RETURN true;
        EXCEPTION WHEN unique_violation THEN
            -- A move of the study has begun this moment.
            RETURN false;
        END $$;

        """#

    private static let repack = #"""
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
            FOR back IN SELECT * FROM pack_recalls b
                WHERE b.repacks = 1 AND b.state = 2 AND NOT EXISTS (
                    SELECT FROM pack_moves m WHERE m.study_key = b.study_key AND m.state <> 2
                ) AND NOT EXISTS (
                    SELECT FROM pack_recalls r WHERE r.study_key = b.study_key AND r.state <> 2
                )
                ORDER BY b.id LIMIT most
            LOOP
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
                    AND is_run_out_in_part(m.study_uid, c.records) AND count_on_no_node(c.records) = 0
                ORDER BY c.id LIMIT 1;
                CONTINUE WHEN NOT FOUND;
                UPDATE cold_packs c SET state = 5, note = 'a part of it was deleted; a pack of the rest is made'
                FROM pack_moves m
                WHERE m.id = c.move AND c.study_key = back.study_key AND m.study_uid = back.study_uid AND c.state = 4
                    AND (m.tier, m.place) = (old.tier, old.place)
                    AND is_run_out_in_part(m.study_uid, c.records) AND count_on_no_node(c.records) = 0;
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
                ) AND is_run_out_in_part(m.study_uid, c.records) AND count_on_no_node(c.records) > 0
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
}
