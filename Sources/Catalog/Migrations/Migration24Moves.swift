// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// The advisory lock between those who delete and those who enter instances or place holds.
    private static let deletionLock = "130160904267009"  // "varve" in ASCII, and 1

    /// What moves know of recalls, and how packs of an earlier order serve a new one.
    static let recallsAndMoves = #"""
        -- As before, and 5: the study is being recalled.
        CREATE OR REPLACE FUNCTION enter_pack_move(
            study_in text, key_in uuid, tier_in text, place_in text, keeps_in boolean, soak_in bigint, by_in text,
            reason_in text, OUT found_id bigint, OUT outcome integer
        ) LANGUAGE plpgsql AS $$
        DECLARE
            open_move pack_moves;
        BEGIN
            found_id := 0;
            IF NOT EXISTS (SELECT FROM studies t WHERE t.uid = study_in) THEN
                outcome := 4;
                RETURN;
            END IF;
            SELECT r.id INTO found_id FROM pack_recalls r WHERE r.study_key = key_in AND r.state <> 2;
            IF FOUND THEN
                outcome := 5;
                RETURN;
            END IF;
            INSERT INTO pack_moves (study_uid, study_key, tier, place, keeps_hot, soak_seconds, requested_by, reason)
            VALUES (study_in, key_in, tier_in, place_in, keeps_in, soak_in, by_in, reason_in)
            ON CONFLICT (study_key) WHERE state <> 2 DO NOTHING RETURNING id INTO found_id;
            IF FOUND THEN
                outcome := 1;
                RETURN;
            END IF;
            SELECT * INTO open_move FROM pack_moves m WHERE m.study_key = key_in AND m.state <> 2 FOR UPDATE;
            found_id := coalesce(open_move.id, 0);
            IF (open_move.tier, open_move.place) IS DISTINCT FROM (tier_in, place_in) THEN
                outcome := 3;
                RETURN;
            END IF;
            UPDATE pack_moves SET state = 1, attempts = 0, due_at = now() WHERE id = found_id;
            outcome := 2;
        END $$;

        -- As before, and nothing is dropped for the move later, when its packs are read again.
        CREATE OR REPLACE FUNCTION cancel_pack_move(study_in text, key_in uuid, note_in text) RETURNS bigint
        LANGUAGE plpgsql AS $$
        DECLARE
            ended bigint;
        BEGIN
            UPDATE pack_moves SET state = 2, done_at = coalesce(done_at, now()), note = note_in, is_settled = true
            WHERE study_key = key_in AND study_uid = study_in AND state <> 2 RETURNING id INTO ended;
            IF NOT FOUND THEN
                RETURN 0;
            END IF;
            UPDATE cold_packs SET state = 5, note = note_in WHERE move = ended AND state < 4;
            RETURN ended;
        END $$;
        UPDATE pack_moves SET is_settled = true WHERE state = 2 AND NOT is_settled;

        -- As that of two arguments. A move that is to drop copies, where coordinators do, takes over the packs that earlier orders
        -- to the same tier have made, as far as nodes have copies of what is in them: these stand and are read again as its own.
        CREATE FUNCTION count_packs(mine bigint, move_in bigint, takes_over boolean) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            IF EXISTS (SELECT FROM cold_packs c WHERE c.move = move_in AND c.state < 3) THEN
                RETURN;
            END IF;
            UPDATE cold_packs c SET move = move_in FROM pack_moves m, pack_moves o
            WHERE takes_over AND m.id = move_in AND m.state = 1 AND NOT m.keeps_hot AND NOT m.is_settled
                AND o.id = c.move AND o.id <> move_in AND o.state = 2
                AND c.study_key = m.study_key AND c.state = 4
                AND (o.study_uid, o.tier, o.place) = (m.study_uid, m.tier, m.place)
                AND EXISTS (
                    SELECT FROM unnest(c.records) r(record) JOIN instances i ON i.record = r.record
                        JOIN placements p ON p.id = i.placement
                    WHERE cardinality(p.nodes) > 0
                );
            UPDATE cold_packs SET state = 4 WHERE move = move_in AND state = 3;
            UPDATE pack_moves SET attempts = 0, note = '', soaks_until = now() + soak_seconds * interval '1 second'
            WHERE id = move_in AND state = 1;
        END $$;

        -- As before, but a move is not taken up while the study is recalled.
        CREATE OR REPLACE FUNCTION doubt_pack(pack_in uuid, note_in text) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE cold_packs SET verified_at = NULL, note = note_in WHERE id = pack_in AND state = 4;
            UPDATE pack_moves m SET state = 1, attempts = 0, due_at = now(), note = note_in FROM cold_packs c
            WHERE c.id = pack_in AND c.state = 4 AND m.id = c.move AND m.state = 2 AND NOT EXISTS (
                SELECT FROM pack_moves o WHERE o.study_key = m.study_key AND o.state <> 2
            ) AND NOT EXISTS (
                SELECT FROM pack_recalls r WHERE r.study_key = m.study_key AND r.state <> 2
            );
        EXCEPTION WHEN unique_violation THEN
            -- One has begun this moment.
            NULL;
        END $$;

        -- As before, without studies that are recalled.
        CREATE OR REPLACE FUNCTION recheck_packs(mine bigint, age bigint, most integer) RETURNS integer
        LANGUAGE plpgsql AS $$
        DECLARE
            taken integer;
        BEGIN
            PERFORM require_term(mine);
            WITH old AS (
                SELECT c.move FROM cold_packs c JOIN pack_moves m ON m.id = c.move
                WHERE c.state = 4 AND m.state = 2
                    AND (c.verified_at IS NULL OR c.verified_at < now() - age * interval '1 millisecond')
                    AND NOT EXISTS (SELECT FROM pack_moves o WHERE o.study_key = m.study_key AND o.state <> 2)
                    AND NOT EXISTS (SELECT FROM pack_recalls r WHERE r.study_key = m.study_key AND r.state <> 2)
                ORDER BY c.verified_at NULLS FIRST LIMIT most
            ), one AS (
                -- One of a study at a time.
                SELECT DISTINCT ON (m.study_key) m.id FROM pack_moves m WHERE m.id IN (SELECT move FROM old)
                ORDER BY m.study_key, m.id
            ), reopened AS (
                UPDATE pack_moves m SET state = 1, attempts = 0, due_at = now(), soaks_until = now() FROM one
                WHERE m.id = one.id RETURNING m.id
            )
            SELECT count(*) INTO taken FROM reopened;
            RETURN taken;
        EXCEPTION WHEN unique_violation THEN
            -- A move of one of the studies has begun this moment.
            RETURN 0;
        END $$;

        """#

    static let recallsAndDrops = #"""
        -- As before, and outcome 4: the study is recalled, so nothing more is dropped.
        CREATE OR REPLACE FUNCTION drop_packed_copies(
            mine bigint, move_in bigint, most integer,
            OUT outcome integer, OUT found_hold bigint, OUT found_pack uuid, OUT dropped integer
        ) LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        DECLARE
            m pack_moves;
            c cold_packs;
            nowhere integer;
        BEGIN
            PERFORM require_term(mine);
            PERFORM pg_advisory_xact_lock(\#(deletionLock));
            outcome := 0;
            dropped := 0;
            SELECT * INTO m FROM pack_moves o WHERE o.id = move_in AND o.state = 1 AND NOT o.keeps_hot
                AND NOT o.is_settled FOR UPDATE;
            IF NOT FOUND THEN
                RETURN;
            END IF;
            IF EXISTS (SELECT FROM pack_recalls r WHERE r.study_key = m.study_key AND r.state <> 2) THEN
                outcome := 4;
                RETURN;
            END IF;
            nowhere := intern_placement('{}');
            FOR c IN SELECT * FROM cold_packs x WHERE x.move = move_in AND x.state = 4 ORDER BY x.part, x.id LOOP
                CONTINUE WHEN NOT EXISTS (
                    SELECT FROM unnest(c.records) r(record) JOIN instances i ON i.record = r.record
                    WHERE i.placement + 0 <> nowhere
                );
                SELECT min(h.hold) INTO found_hold FROM held_now h JOIN studies t ON t.id = h.study
                WHERE t.uid = m.study_uid;
                IF found_hold IS NOT NULL THEN
                    outcome := 2;
                    RETURN;
                END IF;
                IF c.verified_at IS NULL OR c.verified_by IS NULL OR m.soaks_until IS NULL OR m.soaks_until > now()
                    OR c.verified_at < m.soaks_until OR c.verified_at < now() - interval '1 day'
                    OR (c.verified_by IS NOT DISTINCT FROM c.written_by AND EXISTS (
                        SELECT FROM placement_members p JOIN placement_epoch e ON e.epoch = p.epoch
                        WHERE p.node_id <> c.written_by
                    ))
                THEN
                    found_pack := c.id;
                    outcome := 3;
                    RETURN;
                END IF;
                WITH chosen AS (
                    SELECT i.record, i.placement, i.stored_bytes FROM unnest(c.records) r(record)
                        JOIN instances i ON i.record = r.record
                    WHERE i.placement + 0 <> nowhere LIMIT most
                ), moved AS (
                    UPDATE instances i SET placement = nowhere FROM chosen n
                    WHERE i.record = n.record AND i.placement + 0 = n.placement
                    RETURNING i.record, n.placement, i.stored_bytes
                ), noted AS (
                    INSERT INTO surplus_drops AS d (record, node, state, byte_count)
                    SELECT v.record, x.node, 2, v.stored_bytes FROM moved v JOIN placements p ON p.id = v.placement
                        CROSS JOIN LATERAL unnest(p.node_ids) x(node)
                    ON CONFLICT (record, node) DO UPDATE SET state = 2, attempts = 0, due_at = now(), note = ''
                ), cleared AS (
                    DELETE FROM repair_items q USING moved v WHERE q.record = v.record
                ), sums AS (
                    SELECT v.placement, placement_group_of(v.record) AS g, count(*) AS n, sum(v.stored_bytes) AS bytes
                    FROM moved v GROUP BY 1, 2
                ), lessened AS (
                    UPDATE repair_backlog b SET instances = greatest(0, b.instances - s.n),
                        bytes = greatest(0, b.bytes - s.bytes)
                    FROM sums s WHERE (b.placement, b.placement_group) = (s.placement, s.g) AND b.instances IS NOT NULL
                )
                SELECT count(*) INTO dropped FROM moved;
                UPDATE cold_packs SET is_only = true WHERE id = c.id AND NOT is_only;
                outcome := 1;
                RETURN;
            END LOOP;
        END $$;

        -- As before, but not while the study is recalled: the copy may have just come back, and is counted soon.
        CREATE OR REPLACE FUNCTION order_cold_drop(mine bigint, record_in uuid, node_in uuid) RETURNS boolean
        LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        BEGIN
            PERFORM require_term(mine);
            PERFORM pg_advisory_xact_lock_shared(\#(deletionLock));
            INSERT INTO surplus_drops AS d (record, node, state, byte_count)
            SELECT i.record, node_in, 2, i.stored_bytes FROM instances i JOIN placements p ON p.id = i.placement
            WHERE i.record = record_in AND cardinality(p.nodes) = 0 AND has_sound_pack(record_in) AND NOT EXISTS (
                SELECT FROM pack_recalls r WHERE r.state <> 2
                    AND r.study_key = (left(record_in::text, 16) || '00-0000-000000000000')::uuid
            )
            ON CONFLICT (record, node) DO UPDATE SET state = 2;
            RETURN FOUND;
        END $$;
        """#
}
