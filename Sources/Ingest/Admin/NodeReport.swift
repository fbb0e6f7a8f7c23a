// SPDX-License-Identifier: Apache-2.0

import Catalog
import Telemetry

/// One row of `GET /api/v1/nodes`.
public struct NodeReport: Codable, Sendable {
    /// What the node is and how it answers.
    public var node: StatusReport.Node
    /// RFC 3339, UTC: since when it is in its state.
    public var since: String
    /// Until when it is not declared out; nil when it is in no maintenance.
    public var maintenanceUntil: String?
    /// What is being copied to it.
    public var arriving: RepairReport.Amount
    /// Instances on it of which another copy is lacking or wanted elsewhere.
    public var leaving: RepairReport.Amount
}

/// What `GET /api/v1/nodes/{name}` answers.
public struct NodeDetailReport: Codable, Sendable {
    public var node: NodeReport
    /// Copies made in the whole cluster, over the last minute.
    public var bytesPerSecond: Double?
    public var copiesPerSecond: Double?
    /// When what is arriving and leaving will be done if it goes on like this, in seconds from now.
    public var expectedSeconds: Double?
    /// What operators asked for, the last first.
    public var orders: [NodeOrderReport]
}

/// What `POST /api/v1/nodes/{name}/{order}` takes.
public struct NodeOrderRequest: Codable, Sendable {
    /// Why; kept for ever with the order.
    public var reason: String
    /// How long a maintenance is to last; 0 ends it.
    public var minutes: Int?

    public init(reason: String, minutes: Int? = nil) {
        self.reason = reason
        self.minutes = minutes
    }
}

/// An order about a node, and what became of it.
public struct NodeOrderReport: Codable, Sendable {
    /// `drain`, `undrain`, `remove`, `maintenance` or `endOfMaintenance`.
    public var order: String
    public var requestedAt: String
    public var requestedBy: String
    public var reason: String
    /// Nil while no coordinator has decided.
    public var decidedAt: String?
    public var isRefused: Bool
    /// What was done, or why not.
    public var note: String
    /// What it was going to do when it was given; nil for one of the past, and for a maintenance.
    public var preview: PreviewReport?

    init(_ order: NodeOrder, preview: PreviewReport? = nil) {
        self.order = "\(order.kind)"
        self.requestedAt = Timestamp(milliseconds: order.requestedAtMilliseconds).text
        self.requestedBy = order.requestedBy
        self.reason = order.reason
        self.decidedAt = order.decidedAtMilliseconds.map { Timestamp(milliseconds: $0).text }
        self.isRefused = order.isRefused
        self.note = order.note
        self.preview = preview
    }
}
