// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// The rules by which an archive ages, what they decide by, and holds. docs/decisions/0058-plans-from-the-catalog.md
    static let lifecycle = Migration(
        version: 18,
        name: "rule sets, facts of studies, holds",
        sql: ruleSets + lifecycleFacts + lifecycleHolds
    )

    private static let ruleSets = #"""
        -- The rule sets that were loaded, as their files were written (docs/lifecycle.md). The one with the largest
        -- version holds; no row ever changes or goes, so that it can always be said by which rules something was done.
        CREATE TABLE rule_sets (
            -- 1, 2, 3, …: the one before and one, so that of two loads at once only one succeeds.
            version bigint PRIMARY KEY,
            loaded_at timestamptz NOT NULL DEFAULT now(),
            -- The client's address and the interface it used, and what it said; for people.
            loaded_by text NOT NULL,
            reason text NOT NULL,
            -- Of the text in UTF-8.
            sha256 bytea NOT NULL,
            text text NOT NULL
        );

        """#
}
