// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// Accepted instances that are fetched again later and compared. docs/decisions/0051-looking-again.md
    static let watch = Migration(
        version: 15,
        name: "samples that are looked at again",
        sql: """
            CREATE TABLE watch_samples (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                accepted_at timestamptz NOT NULL,
                -- The name of the ingest node that took it; others go before it.
                accepted_by text COLLATE "C" NOT NULL,
                -- The age for which it is fetched next, in seconds, and when; later where a failure is tried again.
                age_seconds bigint NOT NULL,
                due_at timestamptz NOT NULL,
                -- Who fetches it, and until when nobody else does.
                claimed_by text COLLATE "C" NOT NULL DEFAULT '',
                claimed_until timestamptz NOT NULL DEFAULT '-infinity',
                -- Failures since it was last fetched as it came: how many, and since when.
                attempts integer NOT NULL DEFAULT 0,
                failing_since timestamptz,
                alarm_since timestamptz,
                -- The last of them, and what there is to say; for people.
                failure text COLLATE "C" NOT NULL DEFAULT '',
                note text NOT NULL DEFAULT '',
                record uuid NOT NULL,
                study_uid text COLLATE "C" NOT NULL,
                series_uid text COLLATE "C" NOT NULL,
                instance_uid text COLLATE "C" NOT NULL,
                received_syntax text COLLATE "C" NOT NULL,
                stored_syntax text COLLATE "C" NOT NULL,
                -- As taken when it was accepted, not as the table of instances has them now.
                content_digest bytea NOT NULL,
                pixel_digest bytea,
                -- Accepted while the catalog was away, which may refuse it later.
                noted boolean NOT NULL
            );
            -- Who knew of which alarms, and what he said of them; kept for ever.
            CREATE TABLE watch_acknowledgements (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                acknowledged_at timestamptz NOT NULL DEFAULT now(),
                acknowledged_by text NOT NULL,
                reason text NOT NULL,
                study_uid text COLLATE "C" NOT NULL,  -- empty: all
                samples integer NOT NULL
            );
            CREATE INDEX watch_samples_due ON watch_samples (due_at);
            CREATE INDEX watch_samples_alarms ON watch_samples (alarm_since) WHERE alarm_since IS NOT NULL;
            """
    )
}
