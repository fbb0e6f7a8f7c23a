// SPDX-License-Identifier: Apache-2.0

extension Migration {
    /// Finds an instance by its record, and a placement group's records in the order in which the nodes list them.
    static let recordIndex = Migration(
        version: 6,
        name: "record index",
        sql: "CREATE INDEX instances_by_record ON instances (record);"
    )
}
