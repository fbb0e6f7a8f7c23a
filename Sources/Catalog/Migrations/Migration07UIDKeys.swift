// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// The first 16 bytes of a UID's SHA-256.
    ///
    /// Made of functions that cannot change, so that Postgres may put it in an index and look into it. The cast reads
    /// backslashes as escapes; UIDs have none, but nothing may fail here.
    static let uidKey = Migration(
        version: 7,
        name: "uid key",
        sql: #"""
            CREATE FUNCTION uid_key(uid text) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
                SELECT encode(substring(sha256(replace(uid, '\', '\\')::bytea) FROM 1 FOR 16), 'hex')::uuid
            $$;
            """#
    )

    /// Instances by a key of 16 bytes: a third of what the index of their UIDs takes, which grows by some 140 bytes an
    /// instance.
    static let uidKeyIndex = Migration(
        version: 8,
        name: "instances by uid key",
        concurrent: [
            // What an attempt that broke off has left is marked invalid, and in the way.
            "DROP INDEX CONCURRENTLY IF EXISTS instances_by_uid_key",
            "CREATE UNIQUE INDEX CONCURRENTLY instances_by_uid_key ON instances (uid_key(uid))",
        ]
    )

    /// Programs before version 8 find instances by this index only.
    static let withoutUIDText = Migration(
        version: 9,
        name: "no index of uids as text",
        kind: .contract,
        concurrent: ["DROP INDEX CONCURRENTLY IF EXISTS instances_by_uid"]
    )
}
