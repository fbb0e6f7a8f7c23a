// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// Of which new studies the priors were looked for. docs/decisions/0068-priors-come-back.md
    static let prefetch = Migration(
        version: 25,
        name: "prefetch",
        sql: #"""
            -- By the study's number, which is not given again; rows of studies that are gone do no harm.
            CREATE TABLE prefetched_studies (
                study bigint PRIMARY KEY,
                at timestamptz NOT NULL DEFAULT now()
            );

            CREATE FUNCTION note_prefetched(mine bigint, studies_in bigint[]) RETURNS void LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM require_term(mine);
                INSERT INTO prefetched_studies (study) SELECT unnest(studies_in) ON CONFLICT DO NOTHING;
            END $$;

            -- Other studies of a study's patient of which something is in packs only. One instance of each says where its packs
            -- would be found.
            CREATE FUNCTION cold_priors(study_in bigint) RETURNS TABLE (found_study bigint, found_uid text)
            LANGUAGE sql STABLE AS $$
                SELECT t.id, t.uid FROM studies s JOIN studies t ON t.patient = s.patient AND t.id <> s.id
                    CROSS JOIN LATERAL (
                        SELECT i.record FROM series e JOIN instances i ON i.series = e.id WHERE e.study = t.id LIMIT 1
                    ) x
                WHERE s.id = study_in AND EXISTS (
                    SELECT FROM cold_packs c
                    WHERE c.is_only AND c.study_key = (left(x.record::text, 16) || '00-0000-000000000000')::uuid
                )
                ORDER BY t.id DESC LIMIT 1000
            $$;
            """#
    )
}
