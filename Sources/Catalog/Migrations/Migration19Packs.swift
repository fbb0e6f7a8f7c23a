// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// Cold packs, and the moves that make them.
    ///
    /// A pack has the ids of its records in its row, 16 bytes an instance; instances have no column for it, and where in the pack
    /// they lie says its manifest. How far a move is follows from the states of its packs, each of which is entered when what it
    /// says is durable in the store: so whoever leads next goes on where the last one was.
    /// docs/decisions/0059-moves-follow-from-packs.md
    static let packs = Migration(version: 19, name: "cold packs", sql: tables + moveFunctions + packFunctions)

    private static let tables = """
        -- What studies are to be moved, were moved, and who wanted it; kept for ever.
        CREATE TABLE pack_moves (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            study_uid text COLLATE "C" NOT NULL,
            study_key uuid NOT NULL,  -- the lowest id that a record of the study can have
            tier text NOT NULL,
            place text NOT NULL,  -- of the tier when it was ordered: a URL, without secrets
            keeps_hot boolean NOT NULL,
            soak_seconds bigint NOT NULL,
            state smallint NOT NULL DEFAULT 1,  -- 1 under way, 2 done, 3 needs a person
            attempts integer NOT NULL DEFAULT 0,
            due_at timestamptz NOT NULL DEFAULT now(),
            -- When the packs will have stood for long enough to be read again; from when they were counted.
            soaks_until timestamptz,
            requested_at timestamptz NOT NULL DEFAULT now(),
            requested_by text NOT NULL,
            reason text NOT NULL,
            done_at timestamptz,
            -- What is in the way, or what became of it; for people.
            note text NOT NULL DEFAULT ''
        );
        -- One at a time: two would pack the same instances twice.
        CREATE UNIQUE INDEX pack_moves_open ON pack_moves (study_key) WHERE state <> 2;
        CREATE INDEX pack_moves_due ON pack_moves (due_at) WHERE state = 1;
        CREATE INDEX pack_moves_by_study ON pack_moves (study_key, id);

        CREATE TABLE cold_packs (
            id uuid PRIMARY KEY,
            study_key uuid NOT NULL,
            move bigint NOT NULL REFERENCES pack_moves,
            created_at bigint NOT NULL,  -- milliseconds since 1970; stands in the pack
            byte_count bigint NOT NULL DEFAULT 0,
            written_at timestamptz,
            verified_at timestamptz,  -- when all of it was read last, and was sound
            written_by uuid,
            part integer NOT NULL,
            parts integer NOT NULL,
            -- 1 planned, 2 durable in its store, 3 read back and sound, 4 counted: read from, 5 given up
            state smallint NOT NULL DEFAULT 1,
            digest bytea,
            note text NOT NULL DEFAULT '',
            records uuid[] NOT NULL  -- in the order in which they lie
        );
        -- Random bytes: compressing them is lost time.
        ALTER TABLE cold_packs ALTER records SET STORAGE EXTERNAL, ALTER digest SET STORAGE PLAIN;
        CREATE INDEX cold_packs_by_study ON cold_packs (study_key);
        CREATE INDEX cold_packs_by_move ON cold_packs (move);
        CREATE INDEX cold_packs_by_verification ON cold_packs (verified_at NULLS FIRST) WHERE state = 4;

        """

    private static let moveFunctions = #"""
        -- Enters a move; outcome 1: it is entered, 2: the same is under way already (and is tried again at once),
        -- 3: the study is moved to another tier, 4: there is no such study.
        CREATE FUNCTION enter_pack_move(
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

        -- Ends the move of a study that is under way or needs a person; 0 when there is none.
        --
        -- Packs that are read from stay. What a coordinator still has done of it counts for nothing.
        CREATE FUNCTION cancel_pack_move(study_in text, key_in uuid, note_in text) RETURNS bigint LANGUAGE plpgsql AS $$
        DECLARE
            ended bigint;
        BEGIN
            UPDATE pack_moves SET state = 2, done_at = coalesce(done_at, now()), note = note_in
            WHERE study_key = key_in AND study_uid = study_in AND state <> 2 RETURNING id INTO ended;
            IF NOT FOUND THEN
                RETURN 0;
            END IF;
            UPDATE cold_packs SET state = 5, note = note_in WHERE move = ended AND state < 4;
            RETURN ended;
        END $$;

        -- Instances of the move's study that are in no pack of its tier; series by series.
        CREATE FUNCTION movable_records(move_in bigint) RETURNS TABLE (found_record uuid, found_bytes bigint)
        LANGUAGE sql STABLE AS $$
            SELECT i.record, i.stored_bytes FROM pack_moves m
                JOIN studies t ON t.uid = m.study_uid JOIN series e ON e.study = t.id
                JOIN instances i ON i.series = e.id
            WHERE m.id = move_in AND i.record NOT IN (
                SELECT unnest(c.records) FROM cold_packs c JOIN pack_moves o ON o.id = c.move
                WHERE c.study_key = m.study_key AND c.state < 5 AND o.tier = m.tier
            )
            ORDER BY e.number NULLS LAST, e.id, i.number NULLS LAST, i.uid
        $$;

        -- Plans the packs of a move that has none; `packs_in` says for each record in which of `ids` it goes, from 1.
        CREATE FUNCTION plan_packs(
            mine bigint, move_in bigint, ids uuid[], created_in bigint, records_in uuid[], packs_in bigint[]
        ) RETURNS void LANGUAGE plpgsql AS $$
        DECLARE
            owner uuid;
        BEGIN
            PERFORM require_term(mine);
            SELECT m.study_key INTO owner FROM pack_moves m WHERE m.id = move_in AND m.state = 1 FOR UPDATE;
            IF NOT FOUND OR EXISTS (SELECT FROM cold_packs c WHERE c.move = move_in AND c.state < 5) THEN
                RETURN;
            END IF;
            INSERT INTO cold_packs (id, study_key, move, created_at, part, parts, records)
            SELECT ids[n.pack], owner, move_in, created_in, n.pack, cardinality(ids), n.records
            FROM (
                SELECT u.pack::integer AS pack, array_agg(u.record ORDER BY u.position) AS records
                FROM unnest(records_in, packs_in) WITH ORDINALITY AS u(record, pack, position) GROUP BY 1
            ) n;
            UPDATE pack_moves SET attempts = 0, note = '' WHERE id = move_in;
        END $$;

        -- All packs of the move were read back and are sound: from now on they are read from, and stand for a while.
        CREATE FUNCTION count_packs(mine bigint, move_in bigint) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            IF EXISTS (SELECT FROM cold_packs c WHERE c.move = move_in AND c.state < 3) THEN
                RETURN;
            END IF;
            UPDATE cold_packs SET state = 4 WHERE move = move_in AND state = 3;
            UPDATE pack_moves SET attempts = 0, note = '', soaks_until = now() + soak_seconds * interval '1 second'
            WHERE id = move_in AND state = 1;
        END $$;

        CREATE FUNCTION finish_move(mine bigint, move_in bigint, note_in text) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            UPDATE pack_moves SET state = 2, done_at = coalesce(done_at, now()), attempts = 0, note = note_in
            WHERE id = move_in AND state = 1;
        END $$;

        -- A delay of -1 needs a person.
        CREATE FUNCTION postpone_move(mine bigint, move_in bigint, delay bigint, attempts_in integer, note_in text)
        RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            UPDATE pack_moves SET state = CASE WHEN delay < 0 THEN 3 ELSE 1 END, attempts = attempts_in,
                due_at = now() + greatest(0, delay) * interval '1 millisecond', note = note_in
            WHERE id = move_in AND state = 1;
        END $$;

        """#

    private static let packFunctions = #"""
        -- Where the records of a pack are now: sets of nodes, and how much each has of it.
        CREATE FUNCTION pack_sources(pack_in uuid)
        RETURNS TABLE (found_nodes uuid[], found_count bigint, found_bytes bigint) LANGUAGE sql STABLE AS $$
            SELECT p.node_ids, count(*), sum(i.stored_bytes)::bigint FROM cold_packs c
                CROSS JOIN LATERAL unnest(c.records) AS r(record)
                JOIN instances i ON i.record = r.record JOIN placements p ON p.id = i.placement
            WHERE c.id = pack_in GROUP BY p.node_ids
        $$;

        CREATE FUNCTION note_built_pack(mine bigint, pack_in uuid, bytes_in bigint, digest_in bytea, node_in uuid)
        RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            UPDATE cold_packs SET state = 2, byte_count = bytes_in, digest = digest_in, written_by = node_in,
                written_at = now(), note = ''
            WHERE id = pack_in AND state = 1;
        END $$;

        -- The first time, and again later.
        CREATE FUNCTION note_sound_pack(mine bigint, pack_in uuid, digest_in bytea) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            UPDATE cold_packs SET state = greatest(state, 3), verified_at = now(), note = ''
            WHERE id = pack_in AND state BETWEEN 2 AND 4 AND digest = digest_in;
            UPDATE pack_moves m SET attempts = 0, note = '' FROM cold_packs c WHERE c.id = pack_in AND m.id = c.move;
        END $$;

        -- Gives a pack up, and plans one of the same records instead, as far as the archive still has them.
        CREATE FUNCTION replace_pack(mine bigint, pack_in uuid, new_id uuid, created_in bigint, note_in text)
        RETURNS void LANGUAGE plpgsql AS $$
        DECLARE
            old cold_packs;
            kept uuid[];
        BEGIN
            PERFORM require_term(mine);
            UPDATE cold_packs SET state = 5, note = note_in WHERE id = pack_in AND state < 5 RETURNING * INTO old;
            IF NOT FOUND THEN
                RETURN;
            END IF;
            SELECT array_agg(u.record ORDER BY u.position) INTO kept
            FROM unnest(old.records) WITH ORDINALITY AS u(record, position)
            WHERE EXISTS (SELECT FROM instances i WHERE i.record = u.record);
            IF kept IS NULL THEN
                RETURN;
            END IF;
            INSERT INTO cold_packs (id, study_key, move, created_at, part, parts, records)
            VALUES (new_id, old.study_key, old.move, created_in, old.part, old.parts, kept);
        END $$;

        -- Somebody could not read from a pack as it should be: its move is taken up again, which reads all of it.
        --
        -- Not while another move of the study is under way; then the pack is merely said to be not verified.
        CREATE FUNCTION doubt_pack(pack_in uuid, note_in text) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            UPDATE cold_packs SET verified_at = NULL, note = note_in WHERE id = pack_in AND state = 4;
            UPDATE pack_moves m SET state = 1, attempts = 0, due_at = now(), note = note_in FROM cold_packs c
            WHERE c.id = pack_in AND c.state = 4 AND m.id = c.move AND m.state = 2 AND NOT EXISTS (
                SELECT FROM pack_moves o WHERE o.study_key = m.study_key AND o.state <> 2
            );
        EXCEPTION WHEN unique_violation THEN
            -- One has begun this moment.
            NULL;
        END $$;

        -- Takes moves up again whose packs were read longest ago, or are in doubt; says how many.
        --
        -- Their time of standing ends now, so what was read before is to be read again.
        CREATE FUNCTION recheck_packs(mine bigint, age bigint, most integer) RETURNS integer LANGUAGE plpgsql AS $$
        DECLARE
            taken integer;
        BEGIN
            PERFORM require_term(mine);
            WITH old AS (
                SELECT c.move FROM cold_packs c JOIN pack_moves m ON m.id = c.move
                WHERE c.state = 4 AND m.state = 2
                    AND (c.verified_at IS NULL OR c.verified_at < now() - age * interval '1 millisecond')
                    AND NOT EXISTS (SELECT FROM pack_moves o WHERE o.study_key = m.study_key AND o.state <> 2)
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
}
