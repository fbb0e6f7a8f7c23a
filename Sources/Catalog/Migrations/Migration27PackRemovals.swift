// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// The advisory lock between those who delete and those who enter instances or place holds.
    private static let deletionLock = "130160904267009"  // "varve" in ASCII, and 1

    static let packRemovals = #"""
        ALTER TABLE cold_packs ADD COLUMN ended_at timestamptz;  -- when it was given up
        UPDATE cold_packs SET ended_at = now() WHERE state = 5;
        -- State 6: it is being removed from its store, and not read from any more; 7: it is removed.

        CREATE FUNCTION note_given_up_pack() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            NEW.ended_at := now();
            RETURN NEW;
        END $$;
        CREATE TRIGGER note_given_up_pack BEFORE UPDATE OF state ON cold_packs
            FOR EACH ROW WHEN (NEW.state = 5 AND OLD.state <> 5) EXECUTE FUNCTION note_given_up_pack();

        -- Packs that are to be removed from their stores, and were: kept for ever, the audit.
        CREATE TABLE pack_removals (
            pack uuid PRIMARY KEY REFERENCES cold_packs,
            kind smallint NOT NULL,  -- 1: all of it was deleted, and its time in the trash is over; 2: it was given up
            requested_at timestamptz NOT NULL DEFAULT now(),
            requested_by text NOT NULL,
            reason text NOT NULL,
            due_at timestamptz NOT NULL,  -- until then it is a mark, which goes when it is not true any more
            begun_at timestamptz,  -- from then on the pack is not read from
            next_at timestamptz NOT NULL DEFAULT now(),
            removed_at timestamptz,
            term bigint,  -- of the coordinator that had it removed, by the node
            removed_by uuid,
            attempts integer NOT NULL DEFAULT 0,
            note text NOT NULL DEFAULT ''  -- what is in the way; for people
        );
        CREATE INDEX pack_removals_open ON pack_removals (next_at) WHERE removed_at IS NULL;

        -- Whether a record was deleted, all nodes know, its time in the trash is over, and nobody wants it back.
        CREATE FUNCTION is_run_out(record_in uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
            SELECT EXISTS (
                SELECT FROM trashed_instances x JOIN deletions d ON d.id = x.deletion
                    JOIN trash_orders o ON o.deletion = d.id AND o.kind = 1
                WHERE x.record = record_in AND d.restored_at IS NULL AND NOT o.is_superseded
                    AND o.done_at + d.grace_days * interval '1 day' < now()
                    AND NOT EXISTS (SELECT FROM trash_orders u WHERE u.deletion = d.id AND u.kind = 2)
            ) AND NOT EXISTS (SELECT FROM instances i WHERE i.record = record_in)
        $$;

        -- Whether a study, what was deleted of it included, is under legal hold.
        CREATE FUNCTION is_held_anyhow(study_in text) RETURNS boolean LANGUAGE sql STABLE AS $$
            SELECT EXISTS (
                SELECT FROM held_studies s JOIN holds h ON h.id = s.hold
                WHERE s.study_uid = study_in AND h.released_at IS NULL
            ) OR EXISTS (
                SELECT FROM held_now n JOIN studies t ON t.id = n.study WHERE t.uid = study_in
            ) OR EXISTS (
                SELECT FROM deletions d JOIN trashed_series s ON s.deletion = d.id
                    JOIN holds h ON h.patient_id = s.patient_row->>'patient_id'
                        AND (h.issuer = '' OR h.issuer = s.patient_row->>'issuer')
                WHERE d.study_uid = study_in AND d.restored_at IS NULL AND h.released_at IS NULL
                    AND h.patient_id <> ''
            )
        $$;

        -- Whether a pack may go from its store: nothing of it is held, and of each record in it, for kind 1: its time in the trash
        -- is over; for kind 2: that, or it is counted on a node, or is in a sound pack.
        CREATE FUNCTION may_remove_pack(pack_in uuid, kind_in integer) RETURNS boolean LANGUAGE sql STABLE AS $$
            SELECT EXISTS (
                SELECT FROM cold_packs c JOIN pack_moves m ON m.id = c.move
                WHERE c.id = pack_in AND c.state = CASE kind_in WHEN 1 THEN 4 WHEN 2 THEN 5 END
                    AND NOT is_held_anyhow(m.study_uid) AND NOT EXISTS (
                        SELECT FROM unnest(c.records) r(record)
                        WHERE NOT is_run_out(r.record) AND (kind_in = 1 OR NOT (
                            has_sound_pack(r.record) OR EXISTS (
                                SELECT FROM instances i JOIN placements p ON p.id = i.placement + 0
                                WHERE i.record = r.record AND cardinality(p.nodes) > 0
                            )
                        ))
                    )
            )
        $$;

        """#

    static let removalFunctions = #"""
        -- Marks packs that are to be removed, at most `most`: they go when they still may after `grace` milliseconds.
        CREATE FUNCTION mark_packs(mine bigint, grace bigint, most integer) RETURNS integer LANGUAGE plpgsql AS $$
        DECLARE
            marked integer;
        BEGIN
            PERFORM require_term(mine);
            WITH candidates AS MATERIALIZED (
                SELECT c.id, 1 AS kind, m.study_uid, ''::text AS note FROM cold_packs c JOIN pack_moves m ON m.id = c.move
                WHERE c.state = 4 AND EXISTS (
                    SELECT FROM deletions d WHERE d.study_uid = m.study_uid AND d.restored_at IS NULL
                )
                UNION ALL
                SELECT c.id, 2, m.study_uid, c.note FROM cold_packs c JOIN pack_moves m ON m.id = c.move WHERE c.state = 5
            ), chosen AS (
                SELECT n.* FROM candidates n
                WHERE NOT EXISTS (SELECT FROM pack_removals p WHERE p.pack = n.id) AND may_remove_pack(n.id, n.kind)
                LIMIT most
            )
            INSERT INTO pack_removals (pack, kind, requested_by, reason, due_at)
            SELECT n.id, n.kind,
                CASE n.kind WHEN 1 THEN coalesce(w.requested_by, '') ELSE 'the coordinator' END,
                CASE n.kind WHEN 1 THEN coalesce(w.reason, '') ELSE 'the pack was given up: ' || n.note END,
                now() + grace * interval '1 millisecond'
            FROM chosen n LEFT JOIN LATERAL (
                SELECT left(string_agg(DISTINCT o.requested_by, '; '), 1024) AS requested_by,
                    left(string_agg(DISTINCT 'deletion ' || d.id || ': ' || o.reason, '; '), 1024) AS reason
                FROM cold_packs c CROSS JOIN LATERAL unnest(c.records) r(record)
                    JOIN trashed_instances x ON x.record = r.record JOIN deletions d ON d.id = x.deletion
                    JOIN trash_orders o ON o.deletion = d.id AND o.kind = 1
                WHERE n.kind = 1 AND c.id = n.id
            ) w ON true
            ON CONFLICT (pack) DO NOTHING;
            GET DIAGNOSTICS marked = ROW_COUNT;
            RETURN marked;
        END $$;

        -- The packs that are to be removed now. Those whose time has come are looked at once more, and are not read from after
        -- this; a mark that is not true any more goes.
        --
        -- Alone, as deletions are: nothing is given back and no hold placed meanwhile.
        CREATE FUNCTION begin_pack_removals(mine bigint, most integer) RETURNS SETOF uuid
        LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        DECLARE
            due pack_removals;
        BEGIN
            PERFORM require_term(mine);
            IF NOT EXISTS (SELECT FROM pack_removals p WHERE p.removed_at IS NULL AND p.next_at <= now()
                AND (p.begun_at IS NOT NULL OR p.due_at <= now()))
            THEN
                RETURN;
            END IF;
            PERFORM pg_advisory_xact_lock(\#(deletionLock));
            FOR due IN SELECT * FROM pack_removals p
                WHERE p.removed_at IS NULL AND p.next_at <= now() AND (p.begun_at IS NOT NULL OR p.due_at <= now())
                ORDER BY p.next_at, p.pack LIMIT most
            LOOP
                IF due.begun_at IS NULL THEN
                    PERFORM FROM cold_packs c WHERE c.id = due.pack FOR UPDATE;
                    IF NOT may_remove_pack(due.pack, due.kind) THEN
                        DELETE FROM pack_removals p WHERE p.pack = due.pack;
                        CONTINUE;
                    END IF;
                    UPDATE cold_packs c SET state = 6 WHERE c.id = due.pack;
                    UPDATE pack_removals p SET begun_at = now() WHERE p.pack = due.pack;
                END IF;
                UPDATE pack_removals p SET term = mine WHERE p.pack = due.pack;
                RETURN NEXT due.pack;
            END LOOP;
        END $$;

        CREATE FUNCTION note_removed_pack(mine bigint, pack_in uuid, node_in uuid) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            UPDATE cold_packs SET state = 7 WHERE id = pack_in AND state = 6;
            UPDATE pack_removals SET removed_at = now(), removed_by = node_in, note = ''
            WHERE pack = pack_in AND begun_at IS NOT NULL AND removed_at IS NULL;
        END $$;

        CREATE FUNCTION postpone_pack_removal(mine bigint, pack_in uuid, delay bigint, note_in text) RETURNS void
        LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            UPDATE pack_removals SET attempts = attempts + 1, next_at = now() + delay * interval '1 millisecond',
                note = note_in
            WHERE pack = pack_in AND removed_at IS NULL;
        END $$;

        -- Gives up a pack of which a part was deleted and is run out, and plans one of the rest: true when there was one to be.
        --
        -- Only of what nodes have: of what is in packs only no other pack can be made.
        CREATE FUNCTION rewrite_pack(mine bigint, new_id uuid, created_in bigint) RETURNS boolean
        LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        DECLARE
            old cold_packs;
        BEGIN
            PERFORM require_term(mine);
            SELECT c.* INTO old FROM cold_packs c JOIN pack_moves m ON m.id = c.move
            WHERE c.state = 4 AND m.state = 2 AND EXISTS (
                SELECT FROM deletions d WHERE d.study_uid = m.study_uid AND d.restored_at IS NULL
            ) AND EXISTS (
                SELECT FROM unnest(c.records) r(record) WHERE is_run_out(r.record)
            ) AND EXISTS (
                SELECT FROM unnest(c.records) r(record) JOIN instances i ON i.record = r.record
            ) AND NOT EXISTS (
                SELECT FROM unnest(c.records) r(record) WHERE NOT is_run_out(r.record) AND NOT EXISTS (
                    SELECT FROM instances i JOIN placements p ON p.id = i.placement + 0
                    WHERE i.record = r.record AND cardinality(p.nodes) > 0
                )
            ) AND NOT is_held_anyhow(m.study_uid)
                AND NOT EXISTS (SELECT FROM pack_moves o WHERE o.study_key = m.study_key AND o.state <> 2)
            LIMIT 1;
            IF NOT FOUND THEN
                RETURN false;
            END IF;
            -- Nothing is dropped or deleted meanwhile.
            PERFORM pg_advisory_xact_lock(\#(deletionLock));
            UPDATE cold_packs c SET state = 5, note = 'a part of it was deleted; a pack of the rest is made' WHERE c.id = old.id
                AND c.state = 4 AND NOT EXISTS (
                    SELECT FROM unnest(c.records) r(record) WHERE NOT is_run_out(r.record) AND NOT EXISTS (
                        SELECT FROM instances i JOIN placements p ON p.id = i.placement + 0
                        WHERE i.record = r.record AND cardinality(p.nodes) > 0
                    )
                );
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

        -- As before, in turn with what removes packs: what is wanted back is not removed, or is known to be gone.
        CREATE OR REPLACE FUNCTION take_from_trash(
            study_in text, deletion_in bigint, by_in text, reason_in text, issued_in bigint
        ) RETURNS integer LANGUAGE plpgsql AS $$
        DECLARE
            wanted bigint[];
        BEGIN
            PERFORM pg_advisory_xact_lock_shared(\#(deletionLock));
            SELECT coalesce(array_agg(d.id ORDER BY d.id), '{}') INTO wanted FROM deletions d
            WHERE d.study_uid = study_in AND (deletion_in = 0 OR d.id = deletion_in) AND d.restored_at IS NULL;
            INSERT INTO trash_orders (deletion, kind, issued_at, requested_by, reason, reference)
            SELECT w.id, 2, issued_in, by_in, reason_in, gen_random_uuid() FROM unnest(wanted) w(id) ORDER BY w.id
            ON CONFLICT (deletion, kind) DO NOTHING;
            UPDATE trash_orders SET done_at = coalesce(done_at, now()), is_superseded = true
            WHERE deletion = ANY (wanted) AND kind = 1;
            RETURN cardinality(wanted);
        END $$;
        """#
}
