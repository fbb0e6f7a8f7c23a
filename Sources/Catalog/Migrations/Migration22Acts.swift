// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// What the rules in force make of each study, kept from one round to the next, and what is done by them.
    ///
    /// Triggers note the studies of which something changed that rules decide by: so a round judges these and those that are due
    /// by the calendar, and no others. docs/decisions/0062-rules-act-when-they-are-enabled.md
    static let acts = Migration(
        version: 22,
        name: "rules act",
        sql: decisionTables + touching + entering + actsExpiring + actsMoving
    )

    private static let decisionTables = """
        CREATE TABLE lifecycle_decisions (
            study bigint PRIMARY KEY,
            version bigint NOT NULL,  -- of the rule set; policy and rule are places in it
            marked_at bigint,  -- milliseconds since 1970; since when it is to expire
            look_at bigint,  -- when there is to be looked what can be done for it; none when all is done
            policy integer NOT NULL,
            rule integer NOT NULL,  -- -1: none matched
            next_due integer NOT NULL,  -- days since 1970; the largest number: never
            since integer NOT NULL,  -- days since 1970
            expires boolean NOT NULL
        ) WITH (fillfactor = 85);
        CREATE INDEX lifecycle_decisions_due ON lifecycle_decisions (next_due, study) WHERE next_due < 2147483647;
        CREATE INDEX lifecycle_decisions_marked ON lifecycle_decisions (marked_at) WHERE expires;
        CREATE INDEX lifecycle_decisions_moves ON lifecycle_decisions (look_at) WHERE look_at IS NOT NULL AND NOT expires;

        CREATE TABLE lifecycle_touched (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            study bigint NOT NULL
        );

        CREATE TABLE lifecycle_acts (
            is_only_row boolean PRIMARY KEY DEFAULT true CHECK (is_only_row),
            -- All studies were judged by this version once; `pass_version` is being gone through, up to `cursor`.
            judged_version bigint NOT NULL DEFAULT 0,
            pass_version bigint NOT NULL DEFAULT 0,
            cursor bigint NOT NULL DEFAULT 0,
            round_requested_at timestamptz,
            round_started_at timestamptz,
            round_finished_at timestamptz,
            round_studies bigint NOT NULL DEFAULT 0,
            -- The version that acts; 0: none was ever enabled.
            acting_version bigint NOT NULL DEFAULT 0,
            enabled_at timestamptz,
            enabled_by text NOT NULL DEFAULT '',
            enabled_reason text NOT NULL DEFAULT '',
            expire_wait bigint NOT NULL DEFAULT 604800000,  -- milliseconds
            expire_limit bigint NOT NULL DEFAULT 0,  -- studies a day
            expired_day date NOT NULL DEFAULT 'epoch',
            expired_count bigint NOT NULL DEFAULT 0,
            is_paused boolean NOT NULL DEFAULT false,
            paused_at timestamptz,
            paused_by text NOT NULL DEFAULT '',
            paused_reason text NOT NULL DEFAULT '',
            alarm text NOT NULL DEFAULT ''
        );
        INSERT INTO lifecycle_acts DEFAULT VALUES;

        ALTER TABLE deletions
            -- The rule that did it, none for what people deleted.
            ADD COLUMN rule text NOT NULL DEFAULT '',
            ADD COLUMN rule_version bigint,
            -- What is deleted can be taken back for so many days at least.
            ADD COLUMN grace_days integer NOT NULL DEFAULT 30;

        """

    private static let touching = #"""
        CREATE FUNCTION touch_studies() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO lifecycle_touched (study) SELECT DISTINCT c.study FROM changed c;
            RETURN NULL;
        END $$;
        CREATE TRIGGER touch_new AFTER INSERT ON study_facts REFERENCING NEW TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION touch_studies();
        CREATE TRIGGER touch_changed AFTER UPDATE ON study_facts REFERENCING NEW TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION touch_studies();
        CREATE TRIGGER touch_gone AFTER DELETE ON study_facts REFERENCING OLD TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION touch_studies();
        CREATE TRIGGER touch_read AFTER INSERT ON study_access REFERENCING NEW TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION touch_studies();
        CREATE TRIGGER touch_read_again AFTER UPDATE ON study_access REFERENCING NEW TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION touch_studies();
        CREATE TRIGGER touch_tagged AFTER INSERT ON study_tags REFERENCING NEW TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION touch_studies();
        CREATE TRIGGER touch_untagged AFTER DELETE ON study_tags REFERENCING OLD TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION touch_studies();

        CREATE FUNCTION touch_named() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO lifecycle_touched (study)
            SELECT DISTINCT t.id FROM changed c JOIN studies t ON t.uid = c.study_uid;
            RETURN NULL;
        END $$;
        CREATE TRIGGER touch_held AFTER INSERT ON held_studies REFERENCING NEW TABLE AS changed
            FOR EACH STATEMENT EXECUTE FUNCTION touch_named();

        CREATE FUNCTION touch_hold() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO lifecycle_touched (study)
            SELECT t.id FROM patients p JOIN studies t ON t.patient = p.id
            WHERE NEW.patient_id <> '' AND p.patient_id = NEW.patient_id
                AND (NEW.issuer = '' OR NEW.issuer = p.issuer)
            UNION
            SELECT t.id FROM held_studies s JOIN studies t ON t.uid = s.study_uid WHERE s.hold = NEW.id;
            RETURN NULL;
        END $$;
        CREATE TRIGGER touch_hold AFTER INSERT OR UPDATE ON holds FOR EACH ROW EXECUTE FUNCTION touch_hold();

        """#

    private static let entering = #"""
        -- Enters what was decided of some studies, and takes away what is kept of others, which are gone.
        --
        -- A study that is to expire keeps the time since when it is; the notes are done then; with a cursor the pass through all
        -- studies is that far, and at its end (`ends`) what it did not meet is gone.
        CREATE FUNCTION enter_decisions(
            mine bigint, version_in bigint, day_in integer, studies_in bigint[], policies_in bigint[], rules_in bigint[],
            dues_in bigint[], expires_in bigint[], packs_in bigint[], gone_in bigint[], notes_in bigint[],
            cursor_in bigint, ends boolean
        ) RETURNS void LANGUAGE plpgsql AS $$
        DECLARE
            moment bigint := extract(epoch FROM now()) * 1000;
        BEGIN
            PERFORM require_term(mine);
            INSERT INTO lifecycle_decisions AS d (study, version, policy, rule, next_due, since, expires, marked_at, look_at)
            SELECT n.study, version_in, n.policy, n.rule, n.due, day_in, n.expires = 1,
                CASE WHEN n.expires = 1 THEN moment END, CASE WHEN n.packs = 1 THEN moment END
            FROM unnest(studies_in, policies_in, rules_in, dues_in, expires_in, packs_in)
                AS n(study, policy, rule, due, expires, packs)
            ORDER BY n.study
            ON CONFLICT (study) DO UPDATE SET version = excluded.version, policy = excluded.policy,
                rule = excluded.rule, next_due = excluded.next_due, expires = excluded.expires,
                since = CASE WHEN (d.version, d.policy, d.rule) = (excluded.version, excluded.policy, excluded.rule)
                    THEN d.since ELSE excluded.since END,
                marked_at = CASE WHEN excluded.expires THEN coalesce(d.marked_at, excluded.marked_at) END,
                look_at = excluded.look_at;
            DELETE FROM lifecycle_decisions d WHERE d.study = ANY (gone_in);
            DELETE FROM lifecycle_touched t WHERE t.id = ANY (notes_in);
            UPDATE lifecycle_acts SET round_studies = round_studies + cardinality(studies_in);
            IF cursor_in >= 0 THEN
                UPDATE lifecycle_acts SET cursor = cursor_in WHERE pass_version = version_in;
            END IF;
            IF ends THEN
                DELETE FROM lifecycle_decisions d WHERE d.version < version_in;
                UPDATE lifecycle_acts SET judged_version = version_in, round_finished_at = now()
                WHERE pass_version = version_in;
            END IF;
        END $$;

        -- Begins to go through all studies by a version; one that has begun goes on.
        CREATE FUNCTION begin_pass(mine bigint, version_in bigint) RETURNS bigint LANGUAGE plpgsql AS $$
        DECLARE
            reached bigint;
        BEGIN
            PERFORM require_term(mine);
            UPDATE lifecycle_acts SET pass_version = version_in, cursor = 0, round_started_at = now(),
                round_finished_at = NULL, round_studies = 0
            WHERE pass_version <> version_in;
            SELECT a.cursor INTO reached FROM lifecycle_acts a;
            RETURN reached;
        END $$;

        -- A round of what is due begins, or ends.
        CREATE FUNCTION note_round(mine bigint, begins boolean) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM require_term(mine);
            IF begins THEN
                UPDATE lifecycle_acts SET round_started_at = now(), round_finished_at = NULL, round_studies = 0;
            ELSE
                UPDATE lifecycle_acts SET round_finished_at = now();
            END IF;
        END $$;

        """#

    private static let actsExpiring = #"""
        -- Deletes a study to the trash by a rule, if it may be at this moment; how many instances that were.
        --
        -- Otherwise 0 when there is no such study, or -1: the version does not act, or acting is paused; -2: it is not marked, or
        -- not for long enough; -3: instances came lately; -4: something changed that was not judged; -5: it is being moved;
        -- -6: as many as may expire this day have; -7: it is held; -8: somebody took it back from the trash before.
        CREATE FUNCTION expire_study(
            mine bigint, version_in bigint, study_in text, by_in text, reason_in text, rule_in text, grace_in integer,
            quiet_in bigint, reference_in uuid, issued_in bigint
        ) RETURNS integer LANGUAGE plpgsql SET lock_timeout = '3s' AS $$
        DECLARE
            acts lifecycle_acts;
            wanted bigint;
            moved integer;
            moment bigint := extract(epoch FROM now()) * 1000;
        BEGIN
            PERFORM require_term(mine);
            -- As `move_to_trash` has it: nothing arrives and nobody places a hold meanwhile.
            PERFORM pg_advisory_xact_lock(130160904267009);
            SELECT d.instance_count INTO moved FROM trash_orders o JOIN deletions d ON d.id = o.deletion
            WHERE o.reference = reference_in;
            IF FOUND THEN
                RETURN moved;
            END IF;
            SELECT * INTO acts FROM lifecycle_acts FOR UPDATE;
            IF acts.is_paused OR acts.acting_version <> version_in OR acts.alarm <> ''
                OR version_in <> (SELECT max(r.version) FROM rule_sets r)
            THEN
                RETURN -1;
            END IF;
            SELECT t.id INTO wanted FROM studies t WHERE t.uid = study_in;
            IF NOT FOUND THEN
                RETURN 0;
            END IF;
            IF NOT EXISTS (
                SELECT FROM lifecycle_decisions d WHERE d.study = wanted AND d.expires AND d.version = version_in
                    AND greatest(d.marked_at, extract(epoch FROM acts.enabled_at) * 1000) + acts.expire_wait <= moment
            ) THEN
                RETURN -2;
            END IF;
            IF EXISTS (
                SELECT FROM series e JOIN instances i ON i.series = e.id
                WHERE e.study = wanted AND i.received_at > moment - quiet_in
            ) THEN
                RETURN -3;
            END IF;
            IF EXISTS (SELECT FROM lifecycle_changes c WHERE c.study = wanted)
                OR EXISTS (SELECT FROM lifecycle_changes c JOIN studies t ON t.patient = c.patient WHERE t.id = wanted)
                OR EXISTS (SELECT FROM lifecycle_touched c WHERE c.study = wanted)
            THEN
                RETURN -4;
            END IF;
            IF EXISTS (SELECT FROM pack_moves m WHERE m.study_uid = study_in AND m.state <> 2) THEN
                RETURN -5;
            END IF;
            IF EXISTS (
                SELECT FROM deletions d WHERE d.study_uid = study_in AND d.rule_version IS NOT NULL
                    AND d.restored_at IS NOT NULL
            ) THEN
                RETURN -8;
            END IF;
            IF acts.expired_day = (now() AT TIME ZONE 'UTC')::date AND acts.expired_count >= acts.expire_limit
                OR acts.expire_limit <= 0
            THEN
                UPDATE lifecycle_acts SET alarm = format(
                    'rules let more than %s studies expire in a day; look at what is pending, and enable the rules again',
                    acts.expire_limit
                );
                RETURN -6;
            END IF;
            moved := move_to_trash(1, study_in, '', '', by_in, reason_in, reference_in, issued_in);
            IF moved < 0 THEN
                RETURN -7;
            END IF;
            IF moved = 0 THEN
                RETURN 0;
            END IF;
            UPDATE deletions d SET rule = rule_in, rule_version = version_in, grace_days = grace_in
            FROM trash_orders o WHERE o.reference = reference_in AND d.id = o.deletion;
            DELETE FROM lifecycle_decisions d WHERE d.study = wanted;
            UPDATE lifecycle_acts SET expired_day = (now() AT TIME ZONE 'UTC')::date, expired_count =
                CASE WHEN expired_day = (now() AT TIME ZONE 'UTC')::date THEN expired_count + 1 ELSE 1 END;
            RETURN moved;
        END $$;

        """#

    private static let actsMoving = #"""
        -- Orders a move by a rule. 1: it is ordered; 0: the version does not act, or acting is paused; 2: the study is being moved
        -- already, or is gone; 3: as many moves are open as may be.
        --
        -- Those whose packs stand and are to be read again do not count: that takes days, and costs nothing.
        CREATE FUNCTION order_rule_move(
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
            IF (SELECT count(*) FROM pack_moves m WHERE m.state = 3 OR (m.state = 1 AND m.soaks_until IS NULL)) >= most
            THEN
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
}
