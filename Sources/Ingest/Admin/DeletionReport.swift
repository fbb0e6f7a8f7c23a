// SPDX-License-Identifier: Apache-2.0

import Catalog
import Telemetry

/// One row of `GET /api/v1/trash`: a deletion, who wanted it and how far it is.
public struct DeletionReport: Codable, Sendable {
    /// Something that was wanted of it.
    public struct Order: Codable, Sendable {
        public var requestedBy: String
        public var reason: String
        /// RFC 3339, UTC.
        public var requestedAt: String
        /// When the last storage node was told; nil until then.
        public var doneAt: String?
        /// What is in the way, when something is.
        public var note: String?
    }

    public var id: Int64
    public var studyInstanceUID: String
    public var seriesInstanceUID: String?
    public var sopInstanceUID: String?
    public var instances: Int
    public var deletion: Order
    public var undeletion: Order?
    /// When all of it was back; nil while it is in the trash.
    public var restoredAt: String?
}

extension DeletionReport {
    init(_ deletion: Deletion) {
        let subject = deletion.subject
        self.init(
            id: deletion.id,
            studyInstanceUID: subject.study,
            seriesInstanceUID: subject.series.isEmpty ? nil : subject.series,
            sopInstanceUID: subject.instance.isEmpty ? nil : subject.instance,
            instances: deletion.instanceCount,
            deletion: Order(deletion.deletion),
            undeletion: deletion.undeletion.map(Order.init),
            restoredAt: deletion.restoredAtMilliseconds.map { Timestamp(milliseconds: $0).text }
        )
    }
}

extension DeletionReport.Order {
    fileprivate init(_ order: Deletion.Order) {
        self.init(
            requestedBy: order.requestedBy,
            reason: order.reason,
            requestedAt: Timestamp(milliseconds: order.requestedAtMilliseconds).text,
            doneAt: order.doneAtMilliseconds.map { Timestamp(milliseconds: $0).text },
            note: order.note.isEmpty ? nil : order.note
        )
    }
}
