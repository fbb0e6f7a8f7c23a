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

    static let commitInstances = PreparedStatement(
        "commit_instances",
        "SELECT refused, series_ids FROM commit_instances($1, $2, $3, $4)"
    )

    static let instancesByUID = PreparedStatement(
        "instances_by_uid",
        "\(InstanceRow.selection) WHERE i.uid = ANY ($1)"
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
