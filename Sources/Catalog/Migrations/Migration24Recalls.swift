// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// Studies that are in packs only come back to the storage nodes by order, and may go again.
    ///
    /// An order has no step of its own: what is to be done follows from the instances that are in packs only yet.
    /// docs/decisions/0064-recall-follows-from-placements.md
    static let recalls = Migration(
        version: 24,
        name: "recalls",
        sql: recallTables + recallOrders + recallSteps + recallsAndMoves + recallsAndDrops
    )

    /// The advisory lock between those who delete and those who enter instances or place holds.
    private static let deletionLock = "130160904267009"  // "varve" in ASCII, and 1

    private static let recallTables = #"""
        -- What studies are to come back, have come back, and who wanted it; kept for ever.
        CREATE TABLE pack_recalls (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            study_uid text COLLATE "C" NOT NULL,
            study_key uuid NOT NULL,  -- the lowest id that a record of the study can have
            urgency smallint NOT NULL,  -- 1 a person waits, 2 by rules
            state smallint NOT NULL DEFAULT 1,  -- 1 under way, 2 done, 3 needs a person
            attempts integer NOT NULL DEFAULT 0,
            due_at timestamptz NOT NULL DEFAULT now(),
            requested_at timestamptz NOT NULL DEFAULT now(),
            requested_by text NOT NULL,
            reason text NOT NULL,
            -- Of what was in packs only when it was ordered, and what has come back of it.
            wanted_instances bigint NOT NULL,
            wanted_bytes bigint NOT NULL,
            instances bigint NOT NULL DEFAULT 0,
            bytes bigint NOT NULL DEFAULT 0,
            started_at timestamptz,  -- when the first came back
            done_at timestamptz,
            -- What is in the way, or what became of it; for people.
            note text NOT NULL DEFAULT ''
        );
        CREATE UNIQUE INDEX pack_recalls_open ON pack_recalls (study_key) WHERE state <> 2;
        CREATE INDEX pack_recalls_due ON pack_recalls (urgency, due_at) WHERE state = 1;
        CREATE INDEX pack_recalls_by_study ON pack_recalls (study_key, id);
        CREATE INDEX pack_recalls_by_end ON pack_recalls (done_at) WHERE state = 2;

        -- Whether the pack has the only copies of something; false of one that has, never for long.
        ALTER TABLE cold_packs ADD COLUMN is_only boolean NOT NULL DEFAULT false;
        UPDATE cold_packs c SET is_only = true WHERE c.state = 4 AND EXISTS (
            SELECT FROM unnest(c.records) r(record) JOIN instances i ON i.record = r.record
                JOIN placements p ON p.id = i.placement
            WHERE cardinality(p.nodes) = 0
        );
        CREATE INDEX cold_packs_only ON cold_packs (study_key) WHERE is_only;

        """#

    private static let recallOrders = #"""
        -- Enters a recall; outcome 1: it is entered, 2: one is under way already (and is tried again at once), 3: nothing of
        -- the study is in packs only, 4: there is no such study, 5: the study is being moved, which only a person may end.
        --
        -- An open move ends: it would drop what comes back. Behind all who drop: they see the order, or it sees what they did.
        CREATE FUNCTION enter_pack_recall(
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

        -- Ends the recall of a study that is under way or needs a person; 0 when there is none. What has come back stays.
        CREATE FUNCTION cancel_pack_recall(study_in text, key_in uuid, note_in text) RETURNS bigint
        LANGUAGE plpgsql AS $$
        DECLARE
            ended bigint;
        BEGIN
            UPDATE pack_recalls SET state = 2, done_at = now(), note = note_in
            WHERE study_key = key_in AND study_uid = study_in AND state <> 2 RETURNING id INTO ended;
            RETURN coalesce(ended, 0);
        END $$;

        """#

    private static let recallSteps = #"""
        -- What is to come back yet: each record with every pack that it can be read from, and the nodes that may be dropping a
        -- copy of it. A record that is in no such pack has a row without one.
        CREATE FUNCTION recall_records(recall_in bigint)
        RETURNS TABLE (found_record uuid, found_bytes bigint, found_pack uuid, found_dropping uuid[])
        LANGUAGE sql STABLE AS $$
            WITH wanted AS MATERIALIZED (
                SELECT i.record, i.stored_bytes, r.study_key FROM pack_recalls r
                    JOIN studies t ON t.uid = r.study_uid JOIN series e ON e.study = t.id
                    JOIN instances i ON i.series = e.id JOIN placements p ON p.id = i.placement
                WHERE r.id = recall_in AND r.state = 1 AND cardinality(p.nodes) = 0
            ), packed AS MATERIALIZED (
                SELECT c.id, c.verified_at, u.record, u.position FROM pack_recalls r
                    JOIN cold_packs c ON c.study_key = r.study_key AND c.state = 4
                    CROSS JOIN LATERAL unnest(c.records) WITH ORDINALITY u(record, position)
                WHERE r.id = recall_in
            )
            SELECT w.record, w.stored_bytes, k.id,
                ARRAY(SELECT s.node FROM surplus_drops s WHERE s.record = w.record AND s.state = 2)
            FROM wanted w LEFT JOIN packed k ON k.record = w.record
            ORDER BY k.verified_at DESC NULLS LAST, k.id, k.position
        $$;

        -- Counts what has come back; how many were counted, or -1 when the recall is not under way any more.
        --
        -- An instance that was deleted meanwhile, or has copies already, is left as it is; never a copy on a node that may be
        -- dropping it.
        CREATE FUNCTION count_recall(mine bigint, recall_in bigint, records_in uuid[], placements_in bigint[])
        RETURNS integer LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        DECLARE
            nowhere integer;
            counted record;
        BEGIN
            PERFORM require_term(mine);
            PERFORM pg_advisory_xact_lock_shared(\#(deletionLock));
            PERFORM FROM pack_recalls r WHERE r.id = recall_in AND r.state = 1 FOR UPDATE;
            IF NOT FOUND THEN
                RETURN -1;
            END IF;
            nowhere := intern_placement('{}');
            WITH back AS (
                SELECT n.* FROM unnest(records_in, placements_in) AS n(record, new)
                    JOIN placements p ON p.id = n.new
                WHERE cardinality(p.nodes) > 0 AND NOT EXISTS (
                    SELECT FROM surplus_drops s
                    WHERE s.record = n.record AND s.state = 2 AND s.node = ANY (p.node_ids)
                )
            ), moved AS (
                UPDATE instances i SET placement = b.new FROM back b
                WHERE i.record = b.record AND i.placement + 0 = nowhere
                RETURNING i.stored_bytes
            )
            SELECT count(*)::integer AS instances, coalesce(sum(m.stored_bytes), 0)::bigint AS bytes INTO counted
            FROM moved m;
            IF counted.instances > 0 THEN
                UPDATE pack_recalls SET instances = instances + counted.instances, bytes = bytes + counted.bytes,
                    started_at = coalesce(started_at, now()), attempts = 0, note = ''
                WHERE id = recall_in;
            END IF;
            RETURN counted.instances;
        END $$;

        -- All has come back, or is gone. False when something is in packs only yet.
        CREATE FUNCTION finish_recall(mine bigint, recall_in bigint, note_in text) RETURNS boolean
        LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            IF EXISTS (
                SELECT FROM pack_recalls r JOIN studies t ON t.uid = r.study_uid JOIN series e ON e.study = t.id
                    JOIN instances i ON i.series = e.id JOIN placements p ON p.id = i.placement
                WHERE r.id = recall_in AND cardinality(p.nodes) = 0
            ) THEN
                RETURN false;
            END IF;
            UPDATE pack_recalls SET state = 2, done_at = now(), attempts = 0, note = note_in
            WHERE id = recall_in AND state = 1;
            UPDATE cold_packs c SET is_only = false FROM pack_recalls r, pack_moves m
            WHERE r.id = recall_in AND c.study_key = r.study_key AND c.is_only AND m.id = c.move
                AND m.study_uid = r.study_uid
                -- In the trash it may be in packs only, too.
                AND NOT EXISTS (
                    SELECT FROM unnest(c.records) u(record) JOIN trashed_instances x ON x.record = u.record
                        JOIN placements p ON p.id = x.placement
                    WHERE cardinality(p.nodes) = 0
                );
            RETURN true;
        END $$;

        -- A delay of -1 needs a person.
        CREATE FUNCTION postpone_recall(mine bigint, recall_in bigint, delay bigint, attempts_in integer, note_in text)
        RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            UPDATE pack_recalls SET state = CASE WHEN delay < 0 THEN 3 ELSE 1 END, attempts = attempts_in,
                due_at = now() + greatest(0, delay) * interval '1 millisecond', note = note_in
            WHERE id = recall_in AND state = 1;
        END $$;

        """#
}
