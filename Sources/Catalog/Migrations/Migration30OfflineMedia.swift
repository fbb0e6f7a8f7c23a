// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// Packs on media that are not at hand, and recalls that wait for them.
    ///
    /// docs/decisions/0069-media-that-are-not-at-hand.md
    static let offlineMedia = Migration(
        version: 30,
        name: "offline media",
        sql: #"""
            -- When a pack was found to be on a medium that is not at hand; what is read whole later is at hand again.
            ALTER TABLE cold_packs ADD COLUMN offline_since timestamptz;
            -- Since when a recall waits for media, and the packs that are on them; NULL: it waits for none.
            ALTER TABLE pack_recalls ADD COLUMN waits_since timestamptz, ADD COLUMN waits_for uuid[] NOT NULL DEFAULT '{}';

            CREATE FUNCTION note_offline_pack(pack_in uuid, offline_in boolean) RETURNS void LANGUAGE sql AS $$
                UPDATE cold_packs c SET offline_since = CASE WHEN offline_in THEN now() END
                WHERE c.id = pack_in AND offline_in IS DISTINCT FROM (
                    c.offline_since IS NOT NULL AND (c.verified_at IS NULL OR c.offline_since > c.verified_at)
                );
            $$;

            -- Puts a recall off until media are there: an eighth of the time that it has waited, in milliseconds, within two bounds.
            CREATE FUNCTION recall_waits_for_media(
                mine bigint, recall_in bigint, packs_in uuid[], shortest bigint, longest bigint, note_in text
            ) RETURNS void LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM require_term(mine);
                UPDATE pack_recalls SET waits_since = coalesce(waits_since, now()), waits_for = packs_in, note = note_in,
                    due_at = now() + least(
                        longest * interval '1 millisecond',
                        greatest(shortest * interval '1 millisecond', (now() - coalesce(waits_since, now())) / 8)
                    )
                WHERE id = recall_in AND state = 1;
            END $$;

            -- As before, and it does not wait for media any more.
            CREATE OR REPLACE FUNCTION postpone_recall(
                mine bigint, recall_in bigint, delay bigint, attempts_in integer, note_in text
            ) RETURNS void LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM require_term(mine);
                UPDATE pack_recalls SET state = CASE WHEN delay < 0 THEN 3 ELSE 1 END, attempts = attempts_in,
                    due_at = now() + greatest(0, delay) * interval '1 millisecond', note = note_in,
                    waits_since = NULL, waits_for = '{}'
                WHERE id = recall_in AND state = 1;
            END $$;
            """#
    )
}
