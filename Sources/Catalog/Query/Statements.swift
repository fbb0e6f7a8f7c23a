// SPDX-License-Identifier: Apache-2.0

/// The statements that connections keep prepared.
enum Statements {
    static let rowTypes = PreparedStatement(
        "row_types",
        """
        SELECT t.oid::int8, t.typarray::int8
        FROM unnest($1::text[]) WITH ORDINALITY AS n(name, position) JOIN pg_type t ON t.oid = to_regtype(n.name)
        ORDER BY n.position
        """
    )

    static let internTerms = PreparedStatement("intern_terms", "SELECT id, text FROM intern_terms($1)")

    static let internPlacement = PreparedStatement("intern_placement", "SELECT intern_placement($1)")

    /// For batches whose series are all known: the insertion that `commit_instances` ends with, without the rest.
    ///
    /// Answers with the number of rows only.
    static let insertInstances = PreparedStatement(
        "insert_instances",
        """
        INSERT INTO instances (series, received_at, received_bytes, stored_bytes, sop_class, received_syntax,
            stored_syntax, calling_ae, placement, number, rows, columns, frames, record, uid, content_digest,
            pixel_digest)
        SELECT e.id, n.received_at, n.received_bytes, n.stored_bytes, n.sop_class, n.received_syntax, n.stored_syntax,
            n.calling_ae, n.placement, n.number, n.rows, n.columns, n.frames, n.record, n.uid, n.content_digest,
            n.pixel_digest
        FROM unnest($1::new_instance[]) n JOIN series e ON e.id = n.series
        ORDER BY n.uid COLLATE "C"
        ON CONFLICT DO NOTHING
        """
    )

    static let commitInstances = PreparedStatement(
        "commit_instances",
        "SELECT entered, series_ids FROM commit_instances($1, $2, $3, $4, $5, $6)"
    )

    /// Apart from the one for many: for a single value Postgres soon keeps its plan, and planning these joins takes ten
    /// times as long as running them (1.0 ms against 0.1).
    static let instanceByUID = PreparedStatement(
        "instance_by_uid",
        "\(InstanceRow.selection) WHERE uid_key(i.uid) = uid_key($1) AND i.uid = $1"
    )

    static let instancesByUID = PreparedStatement(
        "instances_by_uid",
        """
        \(InstanceRow.selection)
        WHERE uid_key(i.uid) = ANY (ARRAY(SELECT uid_key(u) FROM unnest($1::text[]) u)) AND i.uid = ANY ($1)
        """
    )

    static let instancesOfStudy = PreparedStatement(
        "instances_of_study",
        "\(InstanceRow.selection) WHERE t.uid = $1 ORDER BY e.number NULLS LAST, e.id, i.number NULLS LAST, i.uid"
    )

    static let instancesOfSeries = PreparedStatement(
        "instances_of_series",
        "\(InstanceRow.selection) WHERE t.uid = $1 AND e.uid = $2 ORDER BY i.number NULLS LAST, i.uid"
    )
}
