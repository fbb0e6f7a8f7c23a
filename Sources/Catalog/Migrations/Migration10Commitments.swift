// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// Requests for storage commitment, until they are reported and for a while after.
    static let commitments = Migration(
        version: 10,
        name: "commitments",
        sql: """
            CREATE TABLE commitments (
                id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
                requested_at timestamptz NOT NULL DEFAULT now(),
                -- When it is worked on next.
                due_at timestamptz NOT NULL DEFAULT now(),
                -- Who works on it, and until when nobody else does.
                claimed_until timestamptz NOT NULL,
                claimed_by text COLLATE "C" NOT NULL,
                -- When `failures` was found out.
                checked_at timestamptz,
                -- When it was reported, or given up.
                finished_at timestamptz,
                -- Reports that were tried.
                attempts integer NOT NULL DEFAULT 0,
                requestor text COLLATE "C" NOT NULL,  -- AE titles
                called text COLLATE "C" NOT NULL,
                transaction_uid text COLLATE "C" NOT NULL,
                class_uids text[] COLLATE "C" NOT NULL,
                instance_uids text[] COLLATE "C" NOT NULL,
                -- One for each instance: 0, the Failure Reason, or -1 where it is not decided yet.
                failures integer[],
                -- Why it is not finished, or how it ended; for people.
                note text NOT NULL DEFAULT '',
                UNIQUE (requestor, transaction_uid)
            );
            CREATE INDEX commitments_due ON commitments (due_at) WHERE finished_at IS NULL;
            """
    )
}
