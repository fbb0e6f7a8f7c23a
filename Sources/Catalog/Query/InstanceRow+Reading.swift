// SPDX-License-Identifier: Apache-2.0

import Checksums
import NIOCore
import Placement

extension InstanceRow {
    /// The columns that `init?(row:from:)` reads, in order.
    static let columns = """
        t.uid, e.uid, i.uid, sc.text, i.number, i.rows, i.columns, i.frames, i.content_digest, i.pixel_digest,
        rs.text, ss.text, i.received_bytes, i.stored_bytes, i.record, pl.node_ids, i.received_at, ae.text
        """
    static let columnCount = 18

    /// The tables the columns come from, beside `instances i`, `series e` and `studies t`.
    static let joins = """
        JOIN terms sc ON sc.id = i.sop_class JOIN terms rs ON rs.id = i.received_syntax
        JOIN terms ss ON ss.id = i.stored_syntax JOIN terms ae ON ae.id = i.calling_ae
        JOIN placements pl ON pl.id = i.placement
        """

    /// Everything but the condition.
    static let selection = """
        SELECT \(columns) FROM instances i JOIN series e ON e.id = i.series JOIN studies t ON t.id = e.study \(joins)
        """

    /// Reads a row from its columns, of which the first is at `start`; `nil` when they do not make an instance.
    init?(row: PostgresResult.Row, from start: Int = 0) {
        guard let contentDigest = row.digest(start + 8), let recordID = row.recordID(start + 14) else { return nil }
        self.init(
            studyInstanceUID: row.text(start),
            seriesInstanceUID: row.text(start + 1),
            instance: InstanceAttributes(
                sopInstanceUID: row.text(start + 2),
                sopClassUID: row.text(start + 3),
                number: row.int(start + 4),
                rows: row.int(start + 5),
                columns: row.int(start + 6),
                numberOfFrames: row.int(start + 7)
            ),
            contentDigest: contentDigest,
            pixelDigest: row.digest(start + 9),
            receivedTransferSyntax: row.text(start + 10),
            storedTransferSyntax: row.text(start + 11),
            receivedByteCount: row.int(start + 12) ?? 0,
            storedByteCount: row.int(start + 13) ?? 0,
            recordID: recordID,
            nodes: row.nodeIDs(start + 15),
            receivedAtMilliseconds: Int64(row.int(start + 16) ?? 0),
            callingAETitle: row.text(start + 17)
        )
    }

    /// All rows of a result; throws when one is not an instance.
    static func rows(_ result: PostgresResult) throws(PostgresFailure) -> [InstanceRow] {
        var rows: [InstanceRow] = []
        rows.reserveCapacity(result.rowCount)
        for row in result.rows {
            guard let instance = InstanceRow(row: row) else {
                throw PostgresFailure(kind: .unexpected, message: "a row of the table instances cannot be read")
            }
            rows.append(instance)
        }
        return rows
    }

    static func read(
        sopInstanceUIDs: [String],
        _ connection: PostgresConnection,
        _ deadline: NIODeadline
    ) throws(PostgresFailure) -> [String: InstanceRow] {
        let result = try connection.query(Statements.instancesByUID, [.texts(sopInstanceUIDs)], deadline: deadline)
        return Dictionary(try rows(result).map { ($0.sopInstanceUID, $0) }) { first, _ in first }
    }
}
