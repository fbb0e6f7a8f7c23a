// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension Catalog {
    /// The instance with that SOP Instance UID.
    public func instance(sopInstanceUID: String) async throws(CatalogError) -> InstanceRow? {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let uid = [PostgresValue.text(sopInstanceUID)]
            return try InstanceRow.rows(connection.query(Statements.instanceByUID, uid, deadline: deadline)).first
        }
    }

    /// All instances of a study, or of one of its series: by series number, then by instance number.
    public func instances(study: String, series: String? = nil) async throws(CatalogError) -> [InstanceRow] {
        try await perform(.repeatable) { connection, deadline throws(PostgresFailure) in
            let result =
                if let series {
                    try connection.query(
                        Statements.instancesOfSeries,
                        [.text(study), .text(series)],
                        deadline: deadline
                    )
                } else {
                    try connection.query(Statements.instancesOfStudy, [.text(study)], deadline: deadline)
                }
            return try InstanceRow.rows(result)
        }
    }
}
