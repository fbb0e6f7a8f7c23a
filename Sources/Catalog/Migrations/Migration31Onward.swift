// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// Studies in packs only go on to another tier, and leave the one before.
    ///
    /// docs/decisions/0073-on-to-another-tier.md
    static let onward = Migration(version: 31, name: "onward", sql: movesOnward + recallsOnward + givingUp)

    /// The advisory lock between those who delete and those who enter instances or place holds.
    private static let deletionLock = "130160904267009"  // "varve" in ASCII, and 1

    private static let movesOnward = #"""
        -- A move has a state more, 4: the study is recalled for it, and it begins when that is done.

        -- How many instances of a study are in packs only, and in none of a tier.
        CREATE FUNCTION count_elsewhere(study_in text, key_in uuid, tier_in text) RETURNS bigint LANGUAGE sql STABLE AS $$
            SELECT count(*) FROM studies t JOIN series e ON e.study = t.id JOIN instances i ON i.series = e.id
                JOIN placements p ON p.id = i.placement
            WHERE t.uid = study_in AND cardinality(p.nodes) = 0 AND i.record NOT IN (
                SELECT unnest(c.records) FROM cold_packs c JOIN pack_moves o ON o.id = c.move
                WHERE c.study_key = key_in AND c.state < 5 AND o.tier = tier_in
            )
        $$;

        -- As before, and what is in packs of other tiers only comes back first.
        CREATE OR REPLACE FUNCTION enter_pack_move(
            study_in text, key_in uuid, tier_in text, place_in text, keeps_in boolean, soak_in bigint, by_in text,
            reason_in text, OUT found_id bigint, OUT outcome integer
        ) LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        DECLARE
            open_move pack_moves;
            is_elsewhere boolean;
        BEGIN
            found_id := 0;
            IF NOT EXISTS (SELECT FROM studies t WHERE t.uid = study_in) THEN
                outcome := 4;
                RETURN;
            END IF;
            is_elsewhere := count_elsewhere(study_in, key_in, tier_in) > 0;
            -- Behind all who drop, as whoever orders a recall.
            IF is_elsewhere THEN
                PERFORM pg_advisory_xact_lock(\#(deletionLock));
            END IF;
            SELECT r.id INTO found_id FROM pack_recalls r WHERE r.study_key = key_in AND r.state <> 2
                AND NOT EXISTS (SELECT FROM pack_moves m WHERE m.study_key = key_in AND m.state = 4);
            IF FOUND THEN
                outcome := 5;
                RETURN;
            END IF;
            INSERT INTO pack_moves (study_uid, study_key, tier, place, keeps_hot, soak_seconds, requested_by, reason, state)
            VALUES (
                study_in, key_in, tier_in, place_in, keeps_in, soak_in, by_in, reason_in,
                CASE WHEN is_elsewhere THEN 4 ELSE 1 END
            ) ON CONFLICT (study_key) WHERE state <> 2 DO NOTHING RETURNING id INTO found_id;
            IF FOUND THEN
                IF is_elsewhere THEN
                    INSERT INTO pack_recalls (
                        study_uid, study_key, urgency, requested_by, reason, wanted_instances, wanted_bytes
                    )
                    SELECT study_in, key_in, 2, by_in, left('it goes on to the tier ' || tier_in || ': ' || reason_in, 1024),
                        count(*), coalesce(sum(i.stored_bytes), 0)::bigint
                    FROM studies t JOIN series e ON e.study = t.id JOIN instances i ON i.series = e.id
                        JOIN placements p ON p.id = i.placement
                    WHERE t.uid = study_in AND cardinality(p.nodes) = 0;
                END IF;
                outcome := 1;
                RETURN;
            END IF;
            -- In this order, as by whoever ends a recall, whose trigger changes the move.
            PERFORM FROM pack_recalls r WHERE r.study_key = key_in AND r.state <> 2 FOR UPDATE;
            SELECT * INTO open_move FROM pack_moves m WHERE m.study_key = key_in AND m.state <> 2 FOR UPDATE;
            found_id := coalesce(open_move.id, 0);
            IF (open_move.tier, open_move.place) IS DISTINCT FROM (tier_in, place_in) THEN
                outcome := 3;
                RETURN;
            END IF;
            IF open_move.state = 4 THEN
                UPDATE pack_recalls SET state = 1, attempts = 0, due_at = now()
                WHERE study_key = key_in AND study_uid = study_in AND state <> 2;
            ELSE
                UPDATE pack_moves SET state = 1, attempts = 0, due_at = now() WHERE id = found_id;
            END IF;
            outcome := 2;
        END $$;

        -- As before, and the recall of a move that has not begun ends with it.
        CREATE OR REPLACE FUNCTION cancel_pack_move(study_in text, key_in uuid, note_in text) RETURNS bigint
        LANGUAGE plpgsql AS $$
        DECLARE
            ended pack_moves;
        BEGIN
            -- First, as by whoever ends a recall, whose trigger changes the move.
            PERFORM FROM pack_recalls r WHERE r.study_key = key_in AND r.state <> 2 FOR UPDATE;
            SELECT * INTO ended FROM pack_moves
            WHERE study_key = key_in AND study_uid = study_in AND state <> 2 FOR UPDATE;
            IF NOT FOUND THEN
                RETURN 0;
            END IF;
            UPDATE pack_moves SET state = 2, done_at = coalesce(done_at, now()), note = note_in, is_settled = true
            WHERE id = ended.id;
            IF ended.state = 4 THEN
                PERFORM cancel_pack_recall(study_in, key_in, note_in);
            END IF;
            UPDATE cold_packs SET state = 5, note = note_in WHERE move = ended.id AND state < 4;
            RETURN ended.id;
        END $$;

        -- As before; moves whose studies are coming back are open, too.
        CREATE OR REPLACE FUNCTION order_rule_move(
            mine bigint, version_in bigint, most integer, study_in text, key_in uuid, tier_in text, place_in text,
            keeps_in boolean, soak_in bigint, by_in text, reason_in text
        ) RETURNS integer LANGUAGE plpgsql AS $$
        DECLARE
            result record;
        BEGIN
            PERFORM require_term(mine);
            IF NOT EXISTS (SELECT FROM lifecycle_acts a WHERE NOT a.is_paused AND a.acting_version = version_in) THEN
                RETURN 0;
            END IF;
            IF (
                SELECT count(*) FROM pack_moves m WHERE m.state IN (3, 4) OR (m.state = 1 AND m.soaks_until IS NULL)
            ) >= most THEN
                RETURN 3;
            END IF;
            IF EXISTS (SELECT FROM pack_moves m WHERE m.study_key = key_in AND m.state <> 2) THEN
                RETURN 2;
            END IF;
            SELECT * INTO result FROM enter_pack_move(
                study_in, key_in, tier_in, place_in, keeps_in, soak_in, by_in, reason_in
            );
            RETURN CASE WHEN result.outcome = 1 THEN 1 ELSE 2 END;
        END $$;

        """#

    private static let recallsOnward = #"""
        -- When a recall ends, the move that it was for begins, or ends with it, if something is in other packs only still.
        CREATE FUNCTION begin_waiting_move() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE pack_moves m SET state = 1, attempts = 0, due_at = now(), note = ''
            WHERE m.study_key = NEW.study_key AND m.study_uid = NEW.study_uid AND m.state = 4
                AND count_elsewhere(m.study_uid, m.study_key, m.tier) = 0;
            UPDATE pack_moves m SET state = 2, done_at = now(), is_settled = true, note = 'the recall for it ended: ' || NEW.note
            WHERE m.study_key = NEW.study_key AND m.study_uid = NEW.study_uid AND m.state = 4;
            RETURN NULL;
        END $$;
        CREATE TRIGGER begin_waiting_move AFTER UPDATE OF state ON pack_recalls
            FOR EACH ROW WHEN (NEW.state = 2 AND OLD.state <> 2) EXECUTE FUNCTION begin_waiting_move();

        -- As before; a move that the study is recalled for ends, when a person wants it back.
        CREATE OR REPLACE FUNCTION enter_pack_recall(
            study_in text, key_in uuid, urgency_in integer, by_in text, reason_in text,
            OUT found_id bigint, OUT outcome integer
        ) LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        DECLARE
            wanted record;
        BEGIN
            found_id := 0;
            PERFORM pg_advisory_xact_lock(\#(deletionLock));
            IF NOT EXISTS (SELECT FROM studies t WHERE t.uid = study_in) THEN
                outcome := 4;
                RETURN;
            END IF;
            UPDATE pack_recalls SET state = 1, attempts = 0, due_at = now(), urgency = least(urgency, urgency_in)
            WHERE study_key = key_in AND study_uid = study_in AND state <> 2 RETURNING id INTO found_id;
            IF FOUND THEN
                IF urgency_in = 1 THEN
                    UPDATE pack_moves SET state = 2, done_at = now(), is_settled = true,
                        note = 'ended, because the study is recalled'
                    WHERE study_key = key_in AND study_uid = study_in AND state = 4;
                END IF;
                outcome := 2;
                RETURN;
            END IF;
            SELECT count(*) AS instances, coalesce(sum(i.stored_bytes), 0)::bigint AS bytes INTO wanted
            FROM studies t JOIN series e ON e.study = t.id JOIN instances i ON i.series = e.id
                JOIN placements p ON p.id = i.placement
            WHERE t.uid = study_in AND cardinality(p.nodes) = 0;
            found_id := 0;
            IF wanted.instances = 0 THEN
                outcome := 3;
                RETURN;
            END IF;
            IF urgency_in > 1 AND EXISTS (SELECT FROM pack_moves m WHERE m.study_key = key_in AND m.state <> 2) THEN
                outcome := 5;
                RETURN;
            END IF;
            PERFORM cancel_pack_move(study_in, key_in, 'ended, because the study is recalled');
            INSERT INTO pack_recalls (
                study_uid, study_key, urgency, requested_by, reason, wanted_instances, wanted_bytes
            ) VALUES (study_in, key_in, urgency_in, by_in, reason_in, wanted.instances, wanted.bytes)
            RETURNING id INTO found_id;
            outcome := 1;
        END $$;

        """#

    private static let givingUp = #"""
        -- Those of some records that are in none of some packs; of thousands, while nothing can be stored.
        CREATE FUNCTION records_beyond(records_in uuid[], packs_in uuid[]) RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
            SELECT unnest(records_in)
            EXCEPT
            SELECT unnest(o.records) FROM cold_packs o WHERE o.id = ANY (packs_in)
        $$;

        -- Gives up a study's packs of some tiers, each when packs of others hold all of it, or its time in the trash is over, and
        -- prove that as well as when copies on nodes are dropped: read whole within the last day, after they had stood, by another
        -- node than their writer. Packs that could prove it and were not read so are to be read.
        --
        -- -1 in `given_up`: a move or a recall of the study works with its packs.
        CREATE FUNCTION give_up_packs(
            study_in text, key_in uuid, tiers_in text[], note_in text,
            OUT given_up integer, OUT unproven integer, OUT needed integer
        ) LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        DECLARE
            c cold_packs;
            others uuid[];
            proven uuid[];
        BEGIN
            given_up := 0;
            unproven := 0;
            needed := 0;
            -- Nothing is dropped, deleted, given back or recalled meanwhile.
            PERFORM pg_advisory_xact_lock(\#(deletionLock));
            IF EXISTS (SELECT FROM pack_moves m WHERE m.study_key = key_in AND m.state <> 2)
                OR EXISTS (SELECT FROM pack_recalls r WHERE r.study_key = key_in AND r.state <> 2)
            THEN
                given_up := -1;
                RETURN;
            END IF;
            -- Whoever doubts one has said so before this, or waits for its end.
            PERFORM FROM cold_packs x WHERE x.study_key = key_in AND x.state = 4 ORDER BY x.id FOR UPDATE;
            SELECT coalesce(array_agg(x.id), '{}'), coalesce(array_agg(x.id) FILTER (
                WHERE x.verified_at >= now() - interval '1 day' AND (m.soaks_until IS NULL OR x.verified_at >= m.soaks_until)
                    AND x.verified_by IS NOT NULL AND (x.verified_by <> x.written_by OR NOT EXISTS (
                        SELECT FROM placement_members p JOIN placement_epoch e ON e.epoch = p.epoch
                        WHERE p.node_id <> x.written_by
                    ))
            ), '{}') INTO others, proven
            FROM cold_packs x JOIN pack_moves m ON m.id = x.move
            WHERE x.study_key = key_in AND x.state = 4 AND m.study_uid = study_in AND NOT m.tier = ANY (tiers_in);
            FOR c IN SELECT x.* FROM cold_packs x JOIN pack_moves m ON m.id = x.move
                WHERE x.study_key = key_in AND x.state = 4 AND m.study_uid = study_in AND m.tier = ANY (tiers_in)
                ORDER BY x.id
            LOOP
                IF EXISTS (SELECT FROM records_beyond(c.records, others) r WHERE NOT is_run_out(r)) THEN
                    needed := needed + 1;
                ELSIF EXISTS (SELECT FROM records_beyond(c.records, proven) r WHERE NOT is_run_out(r)) THEN
                    unproven := unproven + 1;
                    INSERT INTO pack_readings AS r (pack)
                    SELECT o.id FROM cold_packs o
                    WHERE o.id = ANY (others) AND NOT o.id = ANY (proven) AND o.records && c.records
                    ON CONFLICT (pack) DO UPDATE SET wanted_at = now(), due_at = now(), ended_at = NULL, attempts = 0,
                        is_damaged = false, failure = ''
                    WHERE r.ended_at < now() - interval '1 hour';
                ELSE
                    UPDATE cold_packs o SET is_only = true
                    WHERE c.is_only AND o.id = ANY (proven) AND NOT o.is_only AND o.records && c.records;
                    UPDATE cold_packs x SET state = 5, note = note_in, is_only = false WHERE x.id = c.id;
                    given_up := given_up + 1;
                END IF;
            END LOOP;
        END $$;

        -- The same by a rule.
        CREATE FUNCTION give_up_packs_by_rule(
            mine bigint, version_in bigint, study_in text, key_in uuid, tiers_in text[], note_in text,
            OUT given_up integer, OUT unproven integer, OUT needed integer
        ) LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            IF NOT EXISTS (SELECT FROM lifecycle_acts a WHERE NOT a.is_paused AND a.acting_version = version_in) THEN
                given_up := -1;
                RETURN;
            END IF;
            SELECT g.* INTO given_up, unproven, needed FROM give_up_packs(study_in, key_in, tiers_in, note_in) g;
        END $$;
        """#
}
