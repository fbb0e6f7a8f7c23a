// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// By which permit a storage node destroyed what was in its trash. docs/decisions/0067-emptying-the-trash.md
    static let purges = Migration(
        version: 26,
        name: "purges",
        sql: #"""
            CREATE TABLE purge_permits (
                id uuid PRIMARY KEY,
                term bigint NOT NULL,  -- of the coordinator that gave it
                node uuid NOT NULL,
                issued_at timestamptz NOT NULL DEFAULT now(),
                retired_before bigint NOT NULL,  -- milliseconds since 1970
                answered_at timestamptz,  -- null: whether anything was destroyed only the node knows
                destroyed bigint NOT NULL DEFAULT 0,  -- segments
                remaining bigint NOT NULL DEFAULT 0,
                note text NOT NULL DEFAULT ''
            );
            CREATE INDEX purge_permits_by_node ON purge_permits (node, issued_at);

            CREATE FUNCTION issue_purge_permit(mine bigint, id_in uuid, node_in uuid, before_in bigint) RETURNS void
            LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM require_term(mine);
                INSERT INTO purge_permits (id, term, node, retired_before) VALUES (id_in, mine, node_in, before_in)
                ON CONFLICT (id) DO NOTHING;
            END $$;

            CREATE FUNCTION note_purge(mine bigint, id_in uuid, destroyed_in bigint, remaining_in bigint, note_in text)
            RETURNS void LANGUAGE plpgsql AS $$
            BEGIN
                PERFORM require_term(mine);
                IF destroyed_in = 0 AND note_in = '' THEN
                    DELETE FROM purge_permits WHERE id = id_in AND answered_at IS NULL;
                ELSE
                    UPDATE purge_permits SET answered_at = CASE WHEN note_in = '' THEN now() END,
                        destroyed = destroyed_in, remaining = remaining_in, note = note_in
                    WHERE id = id_in AND answered_at IS NULL;
                END IF;
            END $$;
            """#
    )
}
