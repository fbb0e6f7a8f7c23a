// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// Instances whose copies are in cold packs only: their set of nodes is the empty one.
    ///
    /// The step from some nodes to none is one transaction for each instance, with all that has to be true for it, in
    /// `drop_packed_copies` and nowhere else. docs/decisions/0061-no-node-is-a-set-of-nodes.md
    static let coldInstances = Migration(
        version: 21,
        name: "cold instances",
        sql: coldColumns + dropping + coldOrders + keptPacks
    )

    /// The advisory lock between those who delete and those who enter instances or place holds.
    private static let deletionLock = "130160904267009"  // "varve" in ASCII, and 1

    private static let coldColumns = #"""
        ALTER TABLE cold_packs ADD COLUMN verified_by uuid;  -- who read all of it last
        -- Whether it is decided what becomes of the copies on storage nodes; orders from before this step keep them.
        ALTER TABLE pack_moves ADD COLUMN is_settled boolean NOT NULL DEFAULT true;
        ALTER TABLE pack_moves ALTER COLUMN is_settled SET DEFAULT false;

        -- Whether a record is in a pack that is read from, and was sound when all of it was read last.
        CREATE FUNCTION has_sound_pack(record_in uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
            SELECT EXISTS (
                SELECT FROM cold_packs c
                WHERE c.study_key = (left(record_in::text, 16) || '00-0000-000000000000')::uuid
                    AND c.state = 4 AND c.verified_at IS NOT NULL AND record_in = ANY (c.records)
            )
        $$;

        -- Who has read it is not known of a program before this step.
        CREATE OR REPLACE FUNCTION note_sound_pack(mine bigint, pack_in uuid, digest_in bytea) RETURNS void
        LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM note_sound_pack(mine, pack_in, digest_in, NULL);
        END $$;

        CREATE FUNCTION note_sound_pack(mine bigint, pack_in uuid, digest_in bytea, node_in uuid) RETURNS void
        LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            UPDATE cold_packs SET state = greatest(state, 3), verified_at = now(), verified_by = node_in, note = ''
            WHERE id = pack_in AND state BETWEEN 2 AND 4 AND digest = digest_in;
            UPDATE pack_moves m SET attempts = 0, note = '' FROM cold_packs c WHERE c.id = pack_in AND m.id = c.move;
        END $$;

        -- As before, and nothing is dropped for the move later.
        CREATE OR REPLACE FUNCTION finish_move(mine bigint, move_in bigint, note_in text) RETURNS void
        LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            UPDATE pack_moves SET state = 2, done_at = coalesce(done_at, now()), attempts = 0, note = note_in,
                is_settled = true
            WHERE id = move_in AND state = 1;
        END $$;

        """#

    private static let dropping = #"""
        -- Counts copies of a move's instances no more, at most `most`, which from here on are in its packs only; the nodes
        -- that have them are to be told. Outcome 0: there are none left, 1: there may be more, 2: the study is held, 3: a
        -- pack has to be read whole first, by another node than its writer.
        --
        -- Alone, as deletions are: no hold is placed, no copy counted and nothing deleted meanwhile.
        CREATE FUNCTION drop_packed_copies(
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
                outcome := 1;
                RETURN;
            END LOOP;
        END $$;

        """#

    private static let coldOrders = #"""
        -- As before, but what is in packs only is left to programs that know of it.
        CREATE OR REPLACE FUNCTION unconfirmed_drops(mine bigint, nodes_in uuid[], most integer) RETURNS TABLE (
            found_record uuid, found_node uuid, found_attempts integer, found_placement integer, found_nodes uuid[]
        ) LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            DELETE FROM surplus_drops d WHERE d.state = 1 AND (d.due_at < now() - interval '2 hours' OR NOT EXISTS (
                SELECT FROM instances i JOIN repair_backlog b
                    ON (b.placement, b.placement_group) = (i.placement, placement_group_of(i.record))
                WHERE i.record = d.record AND b.kind = 4
            ));
            DELETE FROM surplus_drops d WHERE d.state = 3 AND NOT EXISTS (
                SELECT FROM instances i JOIN placements p ON p.id = i.placement
                WHERE i.record = d.record AND d.node = ANY (p.node_ids)
            );
            DELETE FROM surplus_drops d USING nodes n WHERE n.node_id = d.node AND n.service = 2;
            RETURN QUERY SELECT d.record, d.node, d.attempts, i.placement, p.node_ids
                FROM surplus_drops d JOIN instances i ON i.record = d.record JOIN placements p ON p.id = i.placement
                WHERE d.state = 2 AND d.due_at <= now() AND d.node = ANY (nodes_in) AND cardinality(p.nodes) > 0
                ORDER BY d.node, d.due_at, d.record LIMIT most;
        END $$;

        -- The same of what is in packs only, and whether one of those is sound.
        CREATE FUNCTION cold_drops(mine bigint, nodes_in uuid[], most integer) RETURNS TABLE (
            found_record uuid, found_node uuid, found_attempts integer, found_placement integer, found_sound boolean
        ) LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            RETURN QUERY SELECT d.record, d.node, d.attempts, i.placement, has_sound_pack(d.record)
                FROM surplus_drops d JOIN instances i ON i.record = d.record JOIN placements p ON p.id = i.placement
                WHERE d.state = 2 AND d.due_at <= now() AND d.node = ANY (nodes_in) AND cardinality(p.nodes) = 0
                ORDER BY d.node, d.due_at, d.record LIMIT most;
        END $$;

        -- A node has a copy of what is in packs only: it is to be told. False when the instance is not, or no pack is sound.
        CREATE FUNCTION order_cold_drop(mine bigint, record_in uuid, node_in uuid) RETURNS boolean
        LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        BEGIN
            PERFORM require_term(mine);
            PERFORM pg_advisory_xact_lock_shared(\#(deletionLock));
            INSERT INTO surplus_drops AS d (record, node, state, byte_count)
            SELECT i.record, node_in, 2, i.stored_bytes FROM instances i JOIN placements p ON p.id = i.placement
            WHERE i.record = record_in AND cardinality(p.nodes) = 0 AND has_sound_pack(record_in)
            ON CONFLICT (record, node) DO UPDATE SET state = 2;
            RETURN FOUND;
        END $$;

        """#

    private static let keptPacks = #"""
        -- As `replace_pack`, but a pack that has the only copies of something is never given up: false then, and it is in doubt.
        CREATE FUNCTION give_up_pack(mine bigint, pack_in uuid, new_id uuid, created_in bigint, note_in text)
        RETURNS boolean LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        DECLARE
            old cold_packs;
            kept uuid[];
        BEGIN
            PERFORM require_term(mine);
            -- Nothing is dropped meanwhile.
            PERFORM pg_advisory_xact_lock_shared(\#(deletionLock));
            IF EXISTS (
                SELECT FROM cold_packs c CROSS JOIN LATERAL unnest(c.records) r(record)
                    JOIN instances i ON i.record = r.record JOIN placements p ON p.id = i.placement
                WHERE c.id = pack_in AND c.state = 4 AND cardinality(p.nodes) = 0
            ) OR EXISTS (
                SELECT FROM cold_packs c CROSS JOIN LATERAL unnest(c.records) r(record)
                    JOIN trashed_instances i ON i.record = r.record JOIN placements p ON p.id = i.placement
                WHERE c.id = pack_in AND c.state = 4 AND cardinality(p.nodes) = 0
            ) THEN
                UPDATE cold_packs SET verified_at = NULL, note = note_in WHERE id = pack_in AND state < 5;
                RETURN false;
            END IF;
            UPDATE cold_packs SET state = 5, note = note_in WHERE id = pack_in AND state < 5 RETURNING * INTO old;
            IF NOT FOUND THEN
                RETURN true;
            END IF;
            SELECT array_agg(u.record ORDER BY u.position) INTO kept
            FROM unnest(old.records) WITH ORDINALITY AS u(record, position)
            WHERE EXISTS (SELECT FROM instances i WHERE i.record = u.record);
            IF kept IS NOT NULL THEN
                INSERT INTO cold_packs (id, study_key, move, created_at, part, parts, records)
                VALUES (new_id, old.study_key, old.move, created_in, old.part, old.parts, kept);
            END IF;
            RETURN true;
        END $$;

        CREATE OR REPLACE FUNCTION replace_pack(mine bigint, pack_in uuid, new_id uuid, created_in bigint, note_in text)
        RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM give_up_pack(mine, pack_in, new_id, created_in, note_in);
        END $$;

        -- As before, without what is in packs only: no node could build another of it.
        CREATE OR REPLACE FUNCTION movable_records(move_in bigint) RETURNS TABLE (found_record uuid, found_bytes bigint)
        LANGUAGE sql STABLE AS $$
            SELECT i.record, i.stored_bytes FROM pack_moves m
                JOIN studies t ON t.uid = m.study_uid JOIN series e ON e.study = t.id
                JOIN instances i ON i.series = e.id JOIN placements p ON p.id = i.placement
            WHERE m.id = move_in AND cardinality(p.nodes) > 0 AND i.record NOT IN (
                SELECT unnest(c.records) FROM cold_packs c JOIN pack_moves o ON o.id = c.move
                WHERE c.study_key = m.study_key AND c.state < 5 AND o.tier = m.tier
            )
            ORDER BY e.number NULLS LAST, e.id, i.number NULLS LAST, i.uid
        $$;
        """#
}
