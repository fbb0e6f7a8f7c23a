// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// Legal holds: what must not be deleted, and by whose word.
    ///
    /// They are kept by UID and Patient ID, not by row, and stay when they are released: the audit of what was held.
    /// docs/decisions/0058-plans-from-the-catalog.md
    static let lifecycleHolds = holdTables + deletingUnlessHeld

    /// The advisory lock between those who delete and those who enter instances or place holds.
    private static let deletionLock = "130160904267009"  // "varve" in ASCII, and 1

    private static let holdTables = #"""
        CREATE TABLE holds (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            name text NOT NULL,  -- what people call it: the case, the trial
            reason text NOT NULL,
            placed_by text NOT NULL,
            placed_at timestamptz NOT NULL DEFAULT now(),
            -- All studies of a patient, also those that come later; empty for a hold of the studies in held_studies.
            patient_id text COLLATE "C" NOT NULL,
            issuer text COLLATE "C" NOT NULL,  -- empty: of any issuer
            -- The search that found those studies, as it was asked; empty when they were named.
            query text NOT NULL,
            released_at timestamptz,
            released_by text NOT NULL DEFAULT '',
            release_reason text NOT NULL DEFAULT ''
        );
        CREATE INDEX holds_by_patient ON holds (patient_id) WHERE released_at IS NULL AND patient_id <> '';

        CREATE TABLE held_studies (
            study_uid text COLLATE "C" NOT NULL,
            hold bigint NOT NULL REFERENCES holds,
            PRIMARY KEY (study_uid, hold)
        );
        CREATE INDEX held_studies_by_hold ON held_studies (hold);

        -- The studies that are held now, once for each hold.
        CREATE VIEW held_now AS
            SELECT t.id AS study, h.id AS hold
            FROM holds h JOIN held_studies s ON s.hold = h.id JOIN studies t ON t.uid = s.study_uid
            WHERE h.released_at IS NULL
            UNION ALL
            SELECT t.id, h.id
            FROM holds h JOIN patients p ON p.patient_id = h.patient_id AND (h.issuer = '' OR h.issuer = p.issuer)
                JOIN studies t ON t.patient = p.id
            WHERE h.released_at IS NULL AND h.patient_id <> '';

        -- Places a hold on studies that are there, or on a patient; its number, 0 when a study is not there.
        CREATE FUNCTION place_hold(
            name_in text, reason_in text, by_in text, studies_in text[], patient_in text, issuer_in text, query_in text
        ) RETURNS bigint LANGUAGE plpgsql AS $$
        DECLARE
            placed bigint;
        BEGIN
            -- After a deletion that is under way, and before the next.
            PERFORM pg_advisory_xact_lock_shared(\#(deletionLock));
            IF EXISTS (SELECT FROM unnest(studies_in) n(uid) WHERE NOT EXISTS (
                SELECT FROM studies t WHERE t.uid = n.uid))
            THEN
                RETURN 0;
            END IF;
            INSERT INTO holds (name, reason, placed_by, patient_id, issuer, query)
            VALUES (name_in, reason_in, by_in, patient_in, issuer_in, query_in) RETURNING id INTO placed;
            INSERT INTO held_studies (study_uid, hold) SELECT DISTINCT n.uid, placed FROM unnest(studies_in) n(uid);
            RETURN placed;
        END $$;

        """#

    private static let deletingUnlessHeld = #"""
        -- As before, and deletes nothing of a study that is held: it returns the number of a hold then, negative, so that
        -- programs that know nothing of holds take it for nothing deleted.
        CREATE OR REPLACE FUNCTION move_to_trash(
            level_in integer, study_in text, series_in text, instance_in text, by_in text, reason_in text,
            reference_in uuid, issued_in bigint
        ) RETURNS integer LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        DECLARE
            affected bigint[];
            new_id bigint;
            moved integer;
            owner bigint;
            holding bigint;
        BEGIN
            PERFORM pg_advisory_xact_lock(\#(deletionLock));
            SELECT d.instance_count INTO moved FROM trash_orders o JOIN deletions d ON d.id = o.deletion
            WHERE o.reference = reference_in;
            IF FOUND THEN
                RETURN moved;
            END IF;
            SELECT array_agg(e.id), min(t.patient) INTO affected, owner FROM studies t JOIN series e ON e.study = t.id
            WHERE t.uid = study_in AND (series_in = '' OR e.uid = series_in);
            IF affected IS NULL THEN
                RETURN 0;
            END IF;
            SELECT min(h.hold) INTO holding FROM held_now h JOIN studies t ON t.id = h.study WHERE t.uid = study_in;
            IF holding IS NOT NULL THEN
                RETURN -holding;
            END IF;
            INSERT INTO deletions (level, instance_count, study_uid, series_uid, instance_uid)
            VALUES (level_in, 0, study_in, series_in, instance_in) RETURNING id INTO new_id;
            WITH gone AS (
                DELETE FROM instances i
                WHERE i.series = ANY (affected) AND (instance_in = '' OR i.uid = instance_in)
                RETURNING i.*
            ), kept AS (
                INSERT INTO trashed_instances SELECT new_id, gone.* FROM gone RETURNING record
            )
            INSERT INTO deletion_records SELECT new_id, record FROM kept;
            GET DIAGNOSTICS moved = ROW_COUNT;
            IF moved = 0 THEN
                DELETE FROM deletions WHERE id = new_id;
                RETURN 0;
            END IF;
            -- Names are folded anew when they come back.
            INSERT INTO trashed_series
            SELECT new_id, e.id, to_jsonb(p) - 'name_words', to_jsonb(t) - 'referring_words', to_jsonb(e)
            FROM series e JOIN studies t ON t.id = e.study JOIN patients p ON p.id = t.patient
            WHERE e.id IN (SELECT x.series FROM trashed_instances x WHERE x.deletion = new_id);
            DELETE FROM series e WHERE e.id = ANY (affected)
                AND NOT EXISTS (SELECT FROM instances i WHERE i.series = e.id);
            DELETE FROM studies t WHERE t.uid = study_in
                AND NOT EXISTS (SELECT FROM series e WHERE e.study = t.id);
            DELETE FROM patients p WHERE p.id = owner
                AND NOT EXISTS (SELECT FROM studies t WHERE t.patient = p.id);
            UPDATE deletions SET instance_count = moved WHERE id = new_id;
            INSERT INTO trash_orders (deletion, kind, issued_at, requested_by, reason, reference)
            VALUES (new_id, 1, issued_in, by_in, reason_in, reference_in);
            RETURN moved;
        END $$;

        """#
}
